import("./shared-0fd0da2185.js");import("./shared-e6b962d850.js");import("./modeler-part-3d5964f4fa.js");
