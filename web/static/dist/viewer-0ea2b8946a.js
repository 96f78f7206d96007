import("./shared-b5bb7b6bdd.js");import("./viewer-part-67bf989d08.js");
