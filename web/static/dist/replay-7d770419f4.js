import("./shared-42b1fb0309.js");import("./replay-part-30659836f8.js");
