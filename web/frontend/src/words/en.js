export default {
  'unit.day': '{n} d', 'unit.hour': '{n} h', 'unit.minute': '{n} min', 'unit.second': '{n} s',
  left: '{duration} left', late: '{duration} overdue', comma: ', ', copied: 'Copied', 'copy.by.hand': 'Please copy by hand:',
  'request.failed': 'The server refused (code {status})', 'request.login': 'You are logged out or not allowed; log in and try again', 'request.offline': 'The server cannot be reached; check the network and try again', 'open.failed': 'Cannot open: {reason}',
  zoom: 'Zoom', 'zoom.in': 'Zoom in', 'zoom.out': 'Zoom out', 'zoom.fit': 'Show all',
  locate: 'Find what is going on', version: 'version {n}', diagrams: 'Diagrams', 'diagram.of': 'Diagram of {name}', 'diagram.as.list': 'Show as a list (for the keyboard)', 'diagram.untouched': 'This diagram has not been reached yet.', 'open.short': 'Open', 'open.diagram': 'Open the diagram “{name}”',
  'tokens.count': '{n} in progress', 'incidents.count': '{n} incidents', 'done.count': 'completed {n} times', 'legend.active': 'in progress', 'legend.passed': 'completed, and how often', 'legend.incident': 'has an incident',
};
