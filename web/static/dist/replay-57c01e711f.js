import("./shared-72fd25e9e2.js");import("./shared-b5bb7b6bdd.js");import("./replay-part-56af490e19.js");
