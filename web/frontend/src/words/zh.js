export default {
  'unit.day': '{n} 天',
  'unit.hour': '{n} 小时',
  'unit.minute': '{n} 分钟',
  'unit.second': '{n} 秒',
  left: '剩 {duration}',
  late: '逾期 {duration}',
  copied: '已复制',
  'copy.by.hand': '请手工复制：',
};
