import("./shared-72fd25e9e2.js");import("./shared-b5bb7b6bdd.js");import("./modeler-part-5c1490fa6f.js");
