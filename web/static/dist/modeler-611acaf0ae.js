import("./modeler-part-e3b0c44298.js");
