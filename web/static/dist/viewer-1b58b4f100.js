import("./shared-b5bb7b6bdd.js");import("./viewer-part-32a6324ac0.js");
