import("./shared-f2cd40a2e6.js");import("./viewer-part-f6eb4b8d65.js");
