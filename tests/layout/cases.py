"""Processes of the size and shape that psmflow draws: lanes, loops, boundary events, event sub-processes."""

from __future__ import annotations

from tests.layout.sketch import Sketch


def _event_sub(trigger: str, name: str, prefix: str, *steps: str, end: str = "end", end_name: str = "") -> Sketch:
    lines = [f"start{trigger} {prefix}_start {name}"]
    ids = [f"{prefix}_start"]
    for k, step in enumerate(steps):
        kind, title = step.split(" ", 1)
        ids.append(f"{prefix}_{k}")
        lines.append(f"{kind} {ids[-1]} {title}")
    ids.append(f"{prefix}_end")
    lines.append(f"{end} {ids[-1]} {end_name}")
    return Sketch().nodes("\n".join(lines)).flows(" > ".join(ids))


def presale() -> Sketch:
    """Many ways to one closing step, loops back over lanes, two event sub-processes."""
    p = Sketch("售前管理流程", ["统筹", "客户经理", "售前工程师", "投标负责人"])
    p.nodes("""
        start!message lead 线索已确认 @统筹
        call analysis 项目分析四问
        xor worth 是否立项?
        call initiation 项目立项与组队
        call tracking 潜在项目跟踪 @客户经理
        xor tracked 跟踪结果
        call psm010 PSM010_现场交流
        call psm020 PSM020_现场调研 @售前工程师
        call psm030 PSM030_编制解决方案
        xor solution 方案评审结果
        call psm040 PSM040_确定报价 @客户经理
        xor mode 采购方式
        call psm050 PSM050_商务招投标 @投标负责人
        xor outcome 投标结果
        call psm060 PSM060_商务谈判 @客户经理
        xor negotiation 谈判结果
        call psm070 PSM070_确定合同文本
        call psm080 PSM080_签订合同 @统筹
        call handover 内部技术交接 @售前工程师
        call closure 项目终止与归档 @统筹
        xor why 终止原因
        end lost 未中标
        end abandoned 放弃/撤项
        end won 已签约
    """)
    p.flows("""
        lead > analysis > worth
        worth > initiation : 立项
        worth > tracking : 观望
        worth > closure : 放弃
        tracking > tracked
        tracked > analysis : 时机成熟
        tracked > closure : 关闭
        initiation > psm010 > psm020 > psm030 > solution
        solution > psm040 : 通过
        solution > psm020 : 补充调研
        solution > closure : 放弃
        psm040 > mode
        mode > psm050 : 招标
        mode > psm060 : 直接采购
        psm050 > outcome
        outcome > psm060 : 中标
        outcome > psm050 : 重新招标
        outcome > closure : 未中标
        psm060 > negotiation
        negotiation > psm070 : 达成
        negotiation > psm040 : 重新报价
        negotiation > closure : 破裂
        psm070 > psm080 > handover > won
        closure > why
        why > lost : 未中标
        why > abandoned : 放弃
    """)
    p.sub("control", "定期实施控制", _event_sub("~!timer", "每_7_天", "control", "call 定期控制检查"), "投标负责人", event=True)
    cancel = _event_sub(
        "!message", "收到取消", "cancel", "user 填写原因码与已花费用", "call 终止与归档", end="end!terminate", end_name="已取消"
    )
    return p.sub("cancel", "项目取消", cancel, "投标负责人", event=True)


def preparation() -> Sketch:
    """A fork over lanes that is entered again, a boundary event with its own end."""
    p = Sketch("编制投标文件", ["销售部经理", "投标负责人", "商务标负责人", "技术标负责人", "报价员"])
    p.nodes("""
        start ready 应答矩阵完成 @投标负责人
        xor enter
        or fork 需编制的分册
        call deviation 差异表处理
        call commercial 商务标编制 @商务标负责人
        call technical 技术标编制 @技术标负责人
        call pricing 投标报价 @报价员
        or join @投标负责人
        user merge 合稿与一致性检查
        service scan 自动扫描合稿
        xor clean 扫描无错且覆盖率_100%?
        call check 资质与盖章双人核查
        user review 终审 @销售部经理
        xor verdict 终审结论
        end rejected 终止投标
        service freeze 定稿、写哈希、锁定 @投标负责人
        end frozen 投标文件已定稿
        boundary!timer?~merge due 合稿计划到期
        service remind 提醒合稿超期并升级
        end reminded
    """)
    p.flows("""
        ready > enter > fork
        fork > deviation : 差异表
        fork > commercial : 商务标
        fork > technical : 技术标
        fork > pricing : 报价
        deviation > join
        commercial > join
        technical > join
        pricing > join
        join > merge > scan > clean
        clean > check : 是
        clean > merge : 否
        check > review > verdict
        verdict > freeze : 通过
        verdict > enter : 退回分册
        verdict > rejected : 否决
        freeze > frozen
        due > remind > reminded
    """)
    late = _event_sub("~!timer", "初稿晚于计划_1_天", "late", "service 升级投标负责人")
    return p.sub("late", "初稿超期升级", late, "报价员", event=True)


def watch() -> Sketch:
    """An expanded sub-process with a loop inside and three boundary events, two of which lead back."""
    p = Sketch("投标期限监控", ["投标负责人"])
    s = Sketch().nodes("""
        start watch_start
        xor more 还有提醒?
        catch!timer next 下一提醒时刻
        service remind 发提醒
        xor close T-1d_以内?
        user ack 确认提醒
        xor risk 状态?
        service escalate 升级
        script take 取下一提醒
        catch!timer deadline 递交截止
        end watch_done 已到截止
    """)
    s.flows("""
        watch_start > more
        more > next : 有
        more > deadline : 无
        next > remind > close
        close > ack : 是
        close > take : 否
        ack > risk
        risk > escalate : 有风险/受阻
        risk > take : 正常
        escalate > take > more
        deadline > watch_done
    """)
    p.nodes("""
        start start 决定投标 @投标负责人
        script load 加载期限列表
        rule matrix 计算提醒矩阵
        script filter 剔除已过期提醒
    """)
    p.sub("watch", "按时提醒与升级", s)
    p.nodes("""
        xor due 当前截止已到?
        send reached 发出“递交截止已到”
        service clear 清除递交类期限
        end done 已到截止
        end closed 监控结束
        boundary!message?watch changed 期限已变更
        boundary!message?watch submitted 标书已递交
        boundary!message?watch known 投标结果确定
    """)
    return p.flows("""
        start > load > matrix > filter > watch > due
        due > reached : 是
        due > load : 否
        reached > done
        changed > load
        submitted > clear > matrix
        known > closed
    """)


def bidding() -> Sketch:
    """Six lanes, five event sub-processes, boundary events on call activities: what a whole bid looks like."""
    p = Sketch("商务招投标", ["销售部经理", "投标负责人", "商务标负责人", "技术标负责人", "报价员", "法务"])
    p.nodes("""
        start!message notice 收到招标公告 @投标负责人
        user register 登记招标信息
        call screen 资格预审
        user decide 投标决策 @销售部经理
        xor bid 是否投标?
        end declined 不投标
        service open 建立投标项目与期限 @投标负责人
        call purchase 购买标书
        and split
        call commercial 商务标编制 @商务标负责人
        call technical 技术标编制 @技术标负责人
        call price 投标报价 @报价员
        user clauses 审查合同条款 @法务
        and join @投标负责人
        call merge 合稿与检查
        user approve 终审 @销售部经理
        xor verdict 终审结论
        call submit 封标与递交 @投标负责人
        catch!message opened 开标
        call clarify 评标澄清
        catch!message result 收到中标结果
        xor won 是否中标?
        call award 中标后手续
        end done 中标
        user review 落标复盘 @销售部经理
        end lost 未中标
        boundary!timer?submit missed 错过递交截止 @投标负责人
        user explain 说明错过原因 @销售部经理
        end missed_end 错过递交
        boundary!error?purchase sold_out 标书停售 @投标负责人
        end void 无法投标
        boundary!timer?~price slow 报价超期 @报价员
        service nudge 催办报价
        end nudged
        boundary!message?clarify questioned 被质疑 @投标负责人
        call objection 质疑答复
    """)
    p.flows("""
        notice > register > screen > decide > bid
        bid > open : 投标
        bid > declined : 不投
        open > purchase > split
        split > commercial > join
        split > technical > join
        split > price > join
        split > clauses > join
        join > merge > approve > verdict
        verdict > submit : 通过
        verdict > split : 退回修改
        submit > opened > clarify > result > won
        won > award : 中标
        won > review : 未中标
        award > done
        review > lost
        missed > explain > missed_end
        sold_out > void
        slow > nudge > nudged
        questioned > objection > result
    """)
    subs = [
        (
            "amend",
            "招标文件补遗",
            _event_sub("~!message", "收到补遗", "amend", "user 登记补遗", "rule 判断影响", "call 补遗处理"),
        ),
        (
            "delay",
            "截止时间变更",
            _event_sub("~!message", "截止时间变更", "delay", "service 更新全部期限", "send 通知各负责人"),
        ),
        ("hold", "挂起", _event_sub("~!message", "申请挂起", "hold", "user 审批挂起", "receive 等待恢复")),
        (
            "cancel",
            "取消投标",
            _event_sub("!message", "收到取消", "cancel", "user 填写原因码", "call 终止与归档", end="end!terminate"),
        ),
        ("watch", "投标期限监控", _event_sub("~!timer", "每天_9_点", "watch", "call 期限监控")),
    ]
    for id_, name, inside in subs:
        p.sub(id_, name, inside, "投标负责人", event=True)
    return p


def wide_sub() -> Sketch:
    """A big sub-process whose work belongs to several lanes, with four boundary events, between steps of other lanes."""
    s = Sketch().nodes("""
        start s_start
        and s_fork
        user s_commercial 编制商务标
        user s_technical 编制技术标
        call s_price 投标报价
        user s_clauses 审查合同条款
        and s_join
        user s_merge 合稿
        service s_scan 自动扫描
        xor s_ok 扫描通过?
        user s_check 双人核查
        xor s_passed 核查结论
        end s_end 已合稿
        boundary!timer?~s_technical s_late 技术标初稿超期
        service s_urge 催办
        end s_urged
    """)
    s.flows("""
        s_start > s_fork
        s_fork > s_commercial > s_join
        s_fork > s_technical > s_join
        s_fork > s_price > s_join
        s_fork > s_clauses > s_join
        s_join > s_merge > s_scan > s_ok
        s_ok > s_check : 是
        s_ok > s_merge : 否
        s_check > s_passed
        s_passed > s_end : 通过
        s_passed > s_fork : 退回
        s_late > s_urge > s_urged
    """)
    s.sub(
        "s_query",
        "投标中答疑",
        _event_sub("~!message", "收到答疑", "query", "user 评估影响", "service 更新应答矩阵"),
        event=True,
    )
    p = Sketch("编制与递交", ["销售部经理", "投标负责人", "公司领导"])
    p.nodes("""
        start start 决定投标 @投标负责人
        user plan 制定投标计划
        user agree 批准计划 @销售部经理
        xor agreed 批准?
    """)
    p.sub("work", "编制投标文件", s, "投标负责人")
    p.nodes("""
        user final 终审 @公司领导
        xor passed 终审结论
        service seal 封标 @投标负责人
        user deliver 递交
        end done 已递交
        boundary!message?work amended 收到补遗
        user assess 评估补遗影响
        boundary!timer?work expired 递交截止
        end missed 错过递交
        boundary!error?work broken 无法满足实质性条款
        user drop 决定弃标 @销售部经理
        end dropped 弃标
        boundary!escalation?~work raised 报价低于底线 @投标负责人
        user floor 审批低价 @公司领导
        end floor_end
    """)
    p.flows("""
        start > plan > agree > agreed
        agreed > work : 同意
        agreed > plan : 修改
        work > final > passed
        passed > seal : 通过
        passed > work : 退回
        seal > deliver > done
        amended > assess > plan
        expired > missed
        broken > drop > dropped
        raised > floor > floor_end
    """)
    cancel = _event_sub(
        "!message", "收到取消", "cancel", "user 填写原因码", "call 终止与归档", end="end!terminate", end_name="已取消"
    )
    p.sub("cancel", "取消投标", cancel, "投标负责人", event=True)
    hold = _event_sub("~!message", "申请挂起", "hold", "user 审批挂起", "receive 等待恢复")
    return p.sub("hold", "挂起", hold, "投标负责人", event=True)


CASES = {case.__name__: case for case in (presale, preparation, watch, bidding, wide_sub)}
