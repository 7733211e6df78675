"""Everything the page says, in Chinese and in English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.reporting.figures import Names

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Mapping[str, Names] = {
    # --- the head
    "title": Names("短信送达报告", "SMS delivery report"),
    "subtitle": Names("{day}", "{day}"),
    "zone": Names("时间均为 {timezone}", "Times are in {timezone}"),
    "as_of": Names("数据截至 {time}", "Figures as of {time}"),
    "all_accounts": Names("全部账户", "All accounts"),
    "only_accounts": Names("账户：{accounts}", "Accounts: {accounts}"),
    "switch": Names("语言", "Language"),
    # --- the day in a few figures
    "rate": Names("送达率", "Delivery rate"),
    "rate_note": Names("送达 ÷ 供应商接受", "delivered of accepted"),
    "rate_note_owed": Names("送达 ÷ 应有回执", "delivered of those owed a report"),
    "intended": Names("计划发送", "Intended"),
    "accepted": Names("供应商接受", "Accepted"),
    "reported": Names("有最终回执", "Reported"),
    "delivered": Names("送达", "Delivered"),
    "failed": Names("失败", "Failed"),
    "silent": Names("超时无回执", "Silent"),
    "waiting": Names("等待回执", "Waiting"),
    "no_reports": Names("供应商无回执", "No reports given"),
    "no_reports_note": Names(
        "这些账户的供应商不提供状态报告：{accounts}。其接受的 {count} 条短信不计入任何送达率，"
        "也不算超时无回执。",
        "These accounts give no reports: {accounts}. Their {count} accepted messages count in no delivery"
        " rate, and none of them is silent.",
    ),
    "refused": Names("未被接受", "Not accepted"),
    "median": Names("送达耗时中位数", "Median time"),
    "of_count_intended": Names("计划 {count}", "of {count} intended"),
    "of_accepted": Names("占接受 {share}", "{share} of accepted"),
    "of_owed": Names("占应有回执 {share}", "{share} of those owed a report"),
    "p95_note": Names("95% 在 {span}内", "95% within {span}"),
    "no_latency": Names("没有送达的短信", "nothing was delivered"),
    # --- what needs a person
    "attention": Names("需要人工处理", "Needs a person"),
    "attention_none": Names(
        "没有需要人工处理的事项：没有结果未知的批次，没有读取中断、无法解析或未入库的页。",
        "Nothing waits for a person: no batch of unknown outcome, no page cut off, unreadable or not landed.",
    ),
    "attention_note": Names(
        "截至 {time} 的全部事项，不限于当天。",
        "Everything open as of {time}, of whatever day.",
    ),
    "unknown_batches": Names("结果未知的批次", "Batches of unknown outcome"),
    "unknown_note": Names(
        "供应商的应答丢失，可能已经发出，涉及 {count} 个收件人。不会自动重发。",
        "The vendor’s answer was lost; they may have reached {count} people. Nothing sends them again.",
    ),
    "suspect": Names("读取中断的页", "Suspect pages"),
    "suspect_note": Names(
        "读取时中断，供应商可能已删除其中的记录。",
        "Cut off while they were read; the vendor may have deleted what they held.",
    ),
    "quarantined": Names("无法解析的页", "Quarantined pages"),
    "quarantined_note": Names(
        "原始字节已保存，可用新版解析器重放。",
        "Their bytes are kept; a newer parser can replay them.",
    ),
    "unlanded": Names("已读取、尚未入库的页", "Pages read and not landed"),
    "unlanded_note": Names("下次收取时入库。", "The next collection lands them."),
    "spooled": Names("暂存于磁盘的页", "Pages in the spool"),
    "spooled_note": Names(
        "数据库不可用时写入磁盘，下次收取时入库。",
        "Written to disk while the database was away; the next collection lands them.",
    ),
    "torn": Names("残缺的暂存文件", "Torn files in the spool"),
    "torn_note": Names(
        "磁盘故障或写满，或写入进程被终止。文件会保留，请向供应商索取该时段的记录。",
        "A disk failed or was full, or the writer was killed. They are kept; ask the vendor for the records"
        " of that time.",
    ),
    "unreadable": Names("无权读取的暂存文件", "Unreadable files in the spool"),
    "unreadable_note": Names(
        "属于其他用户。请允许 Airflow 的用户读取和删除，下次收取时入库。",
        "They are another user’s. Let Airflow’s user read and delete them; the next collection lands them.",
    ),
    "more_rows": Names("另有 {count} 项未列出", "{count} more are not listed"),
    # --- the pictures
    "funnel": Names("从计划到送达", "From intended to delivered"),
    "funnel_note": Names("右侧为占计划发送的比例。", "On the right, the share of what was intended."),
    "latency": Names("送达耗时", "Time to delivery"),
    "latency_note": Names(
        "从提交（或定时发送的时间）到送达回执，仅计送达的短信。wavecom 的回执不带时间，计到读取回执为止。",
        "From the submit, or its scheduled time, to the report of delivery; delivered messages only."
        " Reports of wavecom carry no time: there it is the time until they were read.",
    ),
    "hours": Names("各小时", "By hour of the day"),
    "hours_note": Names(
        "按提交时间归入小时。上：送达率；下：接受的短信数。",
        "A message counts in the hour of its submit. Above, the delivery rate; below, messages accepted.",
    ),
    "days": Names("近 {count} 天", "The last {count} days"),
    "days_note": Names(
        "较近的日子仍可能收到回执，数字会变化。",
        "Reports may still come for the latest days: their figures can change.",
    ),
    "one_day": Names("这一天", "This day"),
    "carriers": Names("运营商", "Carriers"),
    "carriers_note": Names(
        "按号段归属；携号转网的号码仍计入原运营商。右侧为接受数与送达率。",
        "By the block the number belongs to; a number taken to another carrier still counts with its first."
        " On the right, messages accepted and delivery rate.",
    ),
    "provinces": Names("省份", "Provinces"),
    "provinces_note": Names(
        "按号段归属地，不是收件人所在地。右侧为接受数与送达率。",
        "Where the number was issued, not where its owner is. On the right, messages accepted and"
        " delivery rate.",
    ),
    "failures": Names("失败原因", "Why messages failed"),
    "failures_note": Names(
        "状态报告中的错误码。右侧为短信数与占失败的比例。",
        "Error codes of the delivery reports. On the right, messages and the share of all failed.",
    ),
    "refusals": Names("未被接受的批次", "Batches not accepted"),
    "refusals_note": Names(
        "提交的结果与供应商的应答码。右侧为应答码与收件人数。",
        "What became of the submits. On the right, the vendor’s code and the recipients.",
    ),
    "accounts": Names("账户、余额与消耗", "Accounts, balances and spend"),
    "accounts_note": Names(
        "右侧为当天计费条数（本方按分段计算）与最近一次余额。余额增减从当天之前的最后一次查询算起，"
        "可能早于当天。",
        "On the right, segments charged on the day by our own count, and the last balance told. By how much"
        " it fell and rose is counted from the last check before the day, which may be days ago.",
    ),
    # --- tables
    "table": Names("数据表", "Table"),
    "step": Names("阶段", "Step"),
    "messages": Names("短信数", "Messages"),
    "share_intended": Names("占计划", "Of intended"),
    "share_accepted": Names("占接受", "Of accepted"),
    "share_failed": Names("占失败", "Of failed"),
    "share_delivered": Names("占送达", "Of delivered"),
    "rate_short": Names("送达率", "Rate"),
    "hour": Names("小时", "Hour"),
    "day": Names("日期", "Day"),
    "within": Names("耗时", "Time"),
    "percentile": Names("{percent}% 在此时间内", "{percent}% within"),
    "at_most": Names("≤ {span}", "≤ {span}"),
    "longer": Names("> {span}", "> {span}"),
    "carrier": Names("运营商", "Carrier"),
    "province": Names("省份", "Province"),
    "account": Names("账户", "Account"),
    "vendor": Names("供应商", "Vendor"),
    "code": Names("代码", "Code"),
    "meaning": Names("含义", "Meaning"),
    "state": Names("状态", "State"),
    "batches": Names("批次", "Batches"),
    "batch": Names("批次", "Batch"),
    "send_key": Names("发送键", "Send key"),
    "recipients": Names("收件人", "Recipients"),
    "submitted": Names("提交时间", "Submitted"),
    "page": Names("页", "Page"),
    "queue": Names("队列", "Queue"),
    "started": Names("读取时间", "Read at"),
    "median_short": Names("中位耗时", "Median"),
    "segments": Names("计费条数", "Segments"),
    "balance": Names("余额", "Balance"),
    "checked": Names("查询时间", "Told at"),
    "spent": Names("余额减少", "Fell by"),
    "topped_up": Names("余额增加", "Rose by"),
    "moved_since": Names("增减起始", "Since"),
    "balance_unknown": Names("余额未知", "no balance"),
    # --- states
    "state_rejected": Names("供应商拒绝", "rejected"),
    "state_not_sent": Names("确认未发出", "surely not sent"),
    "state_unknown": Names("结果未知", "unknown"),
    "state_prepared": Names("尚未提交", "not submitted yet"),
    "page_suspect": Names("读取中断", "suspect"),
    "page_quarantined": Names("无法解析", "quarantined"),
    "page_read": Names("尚未入库", "not landed"),
    "open_pages": Names("未入库的页", "Pages that did not land"),
    "state_submitting": Names("提交中", "being submitted"),
    "queue_reports": Names("状态报告", "reports"),
    "queue_replies": Names("回复", "replies"),
    "unknown": Names("未知", "Unknown"),
    "no_code": Names("无代码", "no code"),
    # --- nothing to show
    "empty_day": Names("这一天没有计划或发送任何短信。", "No message was planned or sent on this day."),
    "empty_latency": Names(
        "这一天的短信还没有送达回执，无法计算耗时。",
        "No message of this day has a report of delivery yet, so there is no time to tell.",
    ),
    "empty_failures": Names("没有收到失败的状态报告。", "No report of failure came."),
    "empty_refusals": Names("所有批次均被接受。", "Every batch was accepted."),
    "empty_days": Names("这些天没有发送短信。", "Nothing was sent on these days."),
    "empty_accounts": Names(
        "没有账户发送过短信，也没有查询过余额。", "No account sent anything, and no balance was told."
    ),
    # --- what the words mean
    "terms": Names("名词", "What the words mean"),
    "term_intended": Names(
        "写入账本、准备发给一个收件人的短信；一条长短信仍算一条。",
        "One message to one recipient, written to the ledger; a long text is still one message.",
    ),
    "term_accepted": Names(
        "供应商接受了提交，或有状态报告证明已接受。供应商只说接受了多少而没有说是哪些时，整批计为接受。",
        "The vendor took the submit, or a report proves that it did. Where a vendor took fewer than it got"
        " and does not say which, the whole batch counts.",
    ),
    "term_delivered": Names("最终状态报告为成功。", "Its final report says so."),
    "term_failed": Names("最终状态报告为失败。", "Its final report says so."),
    "term_silent": Names(
        "接受后 {hours} 小时仍没有最终状态报告。",
        "No final report came within {hours} hours.",
    ),
    "term_waiting": Names(
        "还没有最终状态报告，但未满 {hours} 小时。",
        "No final report yet, and the {hours} hours are not over.",
    ),
    "term_day": Names(
        "短信归入其提交的日子（{timezone}），无论回执何时到达；所以旧的数字会随迟到的回执变化。",
        "A message belongs to the day of its submit ({timezone}), whenever its report comes; so figures"
        " change while late reports come in.",
    ),
    "the_day": Names("日期", "Day"),
    "privacy": Names(
        "本页不含短信内容和手机号码，可离线打开。",
        "This page holds no text of a message and no phone number, and opens offline.",
    ),
}
