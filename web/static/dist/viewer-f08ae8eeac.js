import("./shared-e6b962d850.js");import("./viewer-part-c40a00cf17.js");
