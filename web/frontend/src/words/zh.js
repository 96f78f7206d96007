export default {
  'unit.day': '{n} 天', 'unit.hour': '{n} 小时', 'unit.minute': '{n} 分钟', 'unit.second': '{n} 秒',
  left: '剩 {duration}', late: '逾期 {duration}', comma: '、', copied: '已复制', 'copy.by.hand': '请手工复制:',
  'request.failed': '服务器没有接受(代码 {status})', 'request.login': '登录已失效或没有权限,请重新登录后再试', 'request.offline': '连不上服务器,请检查网络后再试', 'open.failed': '打不开:{reason}',
  zoom: '缩放', 'zoom.in': '放大', 'zoom.out': '缩小', 'zoom.fit': '显示全图',
  locate: '定位进行中', version: '第 {n} 版', diagrams: '流程图', 'diagram.of': '{name} 的流程图', 'diagram.as.list': '以列表查看(可用键盘)', 'diagram.untouched': '这张图还没有走到。', 'open.short': '打开', 'open.diagram': '打开流程图“{name}”',
  'tokens.count': '{n} 处进行中', 'incidents.count': '{n} 个故障', 'done.count': '完成 {n} 次', 'legend.active': '进行中', 'legend.passed': '已完成及次数', 'legend.incident': '有故障',
};
