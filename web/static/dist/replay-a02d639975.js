import("./shared-3c1b900737.js");import("./shared-e6b962d850.js");import("./replay-part-d38f14b717.js");
