import("./shared-0fd0da2185.js");import("./shared-e6b962d850.js");import("./replay-part-f6e7681f05.js");
