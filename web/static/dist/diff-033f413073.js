import("./shared-e6b962d850.js");import("./diff-part-8b99b364ff.js");
