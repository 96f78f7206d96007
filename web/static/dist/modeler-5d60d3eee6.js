import("./shared-3c1b900737.js");import("./shared-e6b962d850.js");import("./modeler-part-2465190b2a.js");
