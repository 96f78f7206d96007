/** Durations and instants as people read them. Beijing time everywhere: bids close in Beijing time. */
import { language, say } from './words/index.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FORMATS = new Map();

/** How far this machine's clock is ahead of the server's, in ms: its own may be wrong, and a demo's may have been put forward. */
function clockSkew() {
  const served = Date.parse(globalThis.document?.documentElement.dataset.now ?? '');
  if (Number.isNaN(served)) return 0;
  // the page was made before it was read: count from when the answer began to arrive
  const [navigation] = performance.getEntriesByType('navigation');
  const waited = navigation ? performance.now() - navigation.responseStart : 0;
  return Date.now() - waited - served;
}

const skew = clockSkew();

/** The server's present instant, in ms since the epoch. */
export const presentInstant = () => Date.now() - skew;

function format(options) {
  const key = JSON.stringify(options);
  if (!FORMATS.has(key))
    FORMATS.set(
      key,
      new Intl.DateTimeFormat(language() === 'zh' ? 'zh-CN' : 'en-GB', {
        timeZone: 'Asia/Shanghai',
        hourCycle: 'h23',
        ...options,
      }),
    );
  return FORMATS.get(key);
}

/** `ms` since the epoch → 11/16 09:00; `withYear` adds the year. */
export function instantText(ms, withYear = false) {
  return format({
    ...(withYear && { year: 'numeric' }),
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  }).format(ms);
}

export const dayText = ms =>
  `${format({ year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms)} ${format({ weekday: 'short' }).format(ms)}`;
export const clockText = ms => format({ hour: '2-digit', minute: '2-digit' }).format(ms);

/** The two largest units of a duration in ms (one when `short`), rounded down. */
export function durationText(ms, short = false) {
  const whole = Math.max(0, Math.floor(ms));
  const days = Math.floor(whole / DAY);
  const hours = Math.floor((whole % DAY) / HOUR);
  const minutes = Math.floor((whole % HOUR) / MINUTE);
  const parts = days
    ? [
        ['day', days],
        ['hour', hours],
      ]
    : hours
      ? [
          ['hour', hours],
          ['minute', minutes],
        ]
      : minutes
        ? [['minute', minutes]]
        : [['second', Math.floor(whole / 1000)]];
  return parts
    .filter(([, n], index) => (index === 0 ? true : n > 0 && !short))
    .map(([unit, n]) => say(`unit.${unit}`, { n }))
    .join(' ');
}

/** `left` ms until an instant: 剩 2 天 3 小时, or 逾期 5 分钟. */
export function countdownText(left, short = false) {
  return say(left >= 0 ? 'left' : 'late', { duration: durationText(Math.abs(left), short) });
}
