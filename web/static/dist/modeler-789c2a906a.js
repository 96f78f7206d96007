import("./shared-72fd25e9e2.js");import("./shared-b5bb7b6bdd.js");import("./modeler-part-a39a69233a.js");
