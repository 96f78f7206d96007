import("./shared-8879e0a1fd.js");import("./diff-part-fe8a8c933b.js");
