export default {
  comma: '、',
  'request.failed': '服务器没有接受(代码 {status})', 'request.login': '登录已失效或没有权限,请重新登录后再试', 'request.offline': '连不上服务器,请检查网络后再试', 'open.failed': '打不开:{reason}',
  zoom: '缩放', 'zoom.in': '放大', 'zoom.out': '缩小', 'zoom.fit': '显示全图',
  locate: '定位进行中', version: '第 {n} 版', diagrams: '流程图', 'diagram.of': '{name} 的流程图', 'diagram.as.list': '以列表查看(可用键盘)', 'diagram.untouched': '这张图还没有走到。', 'open.short': '打开', 'open.diagram': '打开流程图“{name}”',
  'tokens.count': '{n} 处进行中', 'incidents.count': '{n} 个故障', 'done.count': '完成 {n} 次', 'legend.active': '进行中', 'legend.passed': '已完成及次数', 'legend.incident': '有故障',
  play: '播放', pause: '暂停', 'replay.slider': '时间轴', 'replay.steps': '经过', 'replay.heat': '耗时热力图', 'replay.pin': '固定此图', 'replay.first': '回到开始', 'replay.previous': '上一步', 'replay.next': '下一步', 'replay.last': '到最后', 'replay.speed': '速度',
  'replay.people': '只看某人', 'replay.everybody': '所有人', 'replay.before': '开始之前', 'replay.step': '第 {n} 步,共 {total} 步,{at} {text}', 'replay.deadline': '截止 {at}', 'deadline.left': '距截止 {duration}', 'deadline.past': '已过截止 {duration}',
  'replay.spent': '{name}:共 {duration},{n} 次', 'replay.nothing': '还没有记录。',
};
