/** Adds the words of viewer, replay and diff. */
import { extend } from './index.js';
import en from './tools.en.js';
import zh from './tools.zh.js';

extend({ zh, en });
