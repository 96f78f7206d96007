export default {
  'unit.day': '{n} d',
  'unit.hour': '{n} h',
  'unit.minute': '{n} min',
  'unit.second': '{n} s',
  left: '{duration} left',
  late: '{duration} overdue',
  copied: 'Copied',
  'copy.by.hand': 'Please copy by hand:',
};
