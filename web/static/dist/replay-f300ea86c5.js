import("./shared-90a8148777.js");import("./shared-f2cd40a2e6.js");import("./replay-part-4e08d1f08b.js");
