import("./shared-90a8148777.js");import("./shared-f2cd40a2e6.js");import("./modeler-part-fd1341ed5b.js");
