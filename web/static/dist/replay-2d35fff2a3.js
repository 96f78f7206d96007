import("./shared-72fd25e9e2.js");import("./shared-b5bb7b6bdd.js");import("./replay-part-e98764f535.js");
