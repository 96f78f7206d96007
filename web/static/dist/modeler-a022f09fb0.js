import("./shared-72fd25e9e2.js");import("./shared-b5bb7b6bdd.js");import("./modeler-part-0e5686b703.js");
