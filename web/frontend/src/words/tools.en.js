export default {
  comma: ', ',
  'request.failed': 'The server refused (code {status})', 'request.login': 'You are logged out or not allowed; log in and try again', 'request.offline': 'The server cannot be reached; check the network and try again', 'open.failed': 'Cannot open: {reason}',
  zoom: 'Zoom', 'zoom.in': 'Zoom in', 'zoom.out': 'Zoom out', 'zoom.fit': 'Show all',
  locate: 'Find what is going on', version: 'version {n}', diagrams: 'Diagrams', 'diagram.of': 'Diagram of {name}', 'diagram.as.list': 'Show as a list (for the keyboard)', 'diagram.untouched': 'This diagram has not been reached yet.', 'open.short': 'Open', 'open.diagram': 'Open the diagram “{name}”',
  'tokens.count': '{n} in progress', 'incidents.count': '{n} incidents', 'done.count': 'completed {n} times', 'legend.active': 'in progress', 'legend.passed': 'completed, and how often', 'legend.incident': 'has an incident',
  play: 'Play', pause: 'Pause', 'replay.slider': 'Timeline', 'replay.steps': 'What happened', 'replay.heat': 'Heat map of time', 'replay.pin': 'Stay on this diagram', 'replay.first': 'To the beginning', 'replay.previous': 'Previous step', 'replay.next': 'Next step', 'replay.last': 'To the end', 'replay.speed': 'Speed',
  'replay.people': 'One person only', 'replay.everybody': 'Everybody', 'replay.before': 'Before the start', 'replay.step': 'Step {n} of {total}, {at} {text}', 'replay.deadline': 'Deadline {at}', 'deadline.left': '{duration} to the deadline', 'deadline.past': '{duration} after the deadline',
  'replay.spent': '{name}: {duration} in all, {n} times', 'replay.nothing': 'Nothing has been recorded yet.',
};
