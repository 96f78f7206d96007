import("./shared-8879e0a1fd.js");import("./viewer-part-60f0377be6.js");
