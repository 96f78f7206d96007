export default {
  comma: '、',
  'request.failed': '服务器没有接受（代码 {status}）', 'request.login': '登录已失效或没有权限，请重新登录后再试', 'request.offline': '连不上服务器，请检查网络后再试', 'open.failed': '打不开：{reason}',
  zoom: '缩放', 'zoom.in': '放大', 'zoom.out': '缩小', 'zoom.fit': '显示全图',
  locate: '定位进行中', version: '第 {n} 版', diagrams: '流程图', 'diagram.of': '{name} 的流程图', 'diagram.as.list': '以列表查看（可用键盘）', 'diagram.untouched': '这张图还没有走到。', 'open.short': '打开', 'open.diagram': '打开流程图“{name}”',
  'tokens.count': '{n} 处进行中', 'incidents.count': '{n} 个故障', 'done.count': '完成 {n} 次', 'legend.active': '进行中', 'legend.passed': '已完成及次数', 'legend.incident': '有故障',
  play: '播放', pause: '暂停', 'replay.slider': '时间轴', 'replay.steps': '经过', 'replay.heat': '耗时热力图', 'replay.pin': '固定此图', 'replay.first': '回到开始', 'replay.previous': '上一步', 'replay.next': '下一步', 'replay.last': '到最后', 'replay.speed': '速度',
  'replay.people': '只看某人', 'replay.everybody': '所有人', 'replay.before': '开始之前', 'replay.step': '第 {n} 步，共 {total} 步，{at} {text}', 'replay.deadline': '截止 {at}', 'deadline.left': '距截止 {duration}', 'deadline.past': '已过截止 {duration}',
  'replay.spent': '{name}：共 {duration}，{n} 次', 'replay.nothing': '还没有记录。',
  'diff.title': '版本比较', 'diff.kinds': '显示哪些变化', 'diff.added': '新增', 'diff.removed': '删除', 'diff.changed': '修改', 'diff.layout': '仅位置', 'diff.walk': '逐个查看', 'diff.previous': '上一处变化', 'diff.next': '下一处变化', 'diff.list': '变化列表', 'diff.change': '变化', 'diff.element': '元素', 'diff.type': '类型', 'diff.values': '内容', 'diff.same': '两个版本没有差别。', 'diff.empty': '（空）',
  'diff.key.name': '名称', 'diff.key.sourceRef': '来自', 'diff.key.targetRef': '去向', 'diff.key.default': '默认走向', 'diff.key.conditionExpression': '条件', 'diff.key.timeDuration': '时长', 'diff.key.timeDate': '时间点', 'diff.key.timeCycle': '循环', 'diff.key.assignee': '办理人', 'diff.key.candidateGroups': '候选角色', 'diff.key.candidateUsers': '候选人', 'diff.key.dueDate': '到期时间', 'diff.key.formKey': '表单', 'diff.key.topic': '作业类型', 'diff.key.calledElement': '被调用流程', 'diff.key.decisionRef': '决策', 'diff.key.documentation': '说明', 'diff.key.type': '类型', 'diff.key.script': '脚本', 'diff.key.flowNodeRef': '泳道内元素', 'diff.key.priority': '优先级', 'diff.key.versionTag': '版本标签', 'diff.key.attachedToRef': '所附活动', 'diff.key.cancelActivity': '中断',
};
