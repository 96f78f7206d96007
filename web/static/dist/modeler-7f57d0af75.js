import("./shared-3c1b900737.js");import("./shared-e6b962d850.js");import("./modeler-part-1c1f8969e4.js");
