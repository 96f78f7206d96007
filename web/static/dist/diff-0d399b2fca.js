import("./shared-b5bb7b6bdd.js");import("./diff-part-b48bf44a72.js");
