import("./shared-97f789d1f3.js");import("./shared-8879e0a1fd.js");import("./replay-part-62ce1d151a.js");
