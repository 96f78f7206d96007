import("./shared-42b1fb0309.js");import("./viewer-part-720b366509.js");
