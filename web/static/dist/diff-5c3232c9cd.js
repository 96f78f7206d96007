import("./diff-part-e3b0c44298.js");
