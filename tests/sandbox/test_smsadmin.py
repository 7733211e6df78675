from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

import pytest

NUMBER = "13800001111"
PAGES = [
    "get_send",
    "get_send_md5",
    "get_send_urldecode",
    "post_send",
    "post_send_md5",
    "post_send_urldecode",
]


def twice(text):
    return quote(text.encode("gb18030"), safe="")


@pytest.mark.parametrize("page", PAGES)
def test_each_page_sends_and_decodes_as_often_as_it_says(client, gateway, page):
    """The ``urldecode`` pages decode their parameters a second time, the others once."""
    text = "100%25 镕+您好"
    msg = twice(text) if page.endswith("urldecode") else text
    assert client.smsadmin(page, mobile=f"{NUMBER};{NUMBER}", msg=msg, linkid="a1") == "0 发送成功!"
    # 接口将自动过滤删除重复手机号码: one message, not two.
    assert [(message.content, message.linkid) for message in gateway.messages("smsadmin")] == [(text, "a1")]


@pytest.mark.parametrize(
    ("page", "fields", "answer"),
    [
        ("post_send", {"pwd": "wrong"}, "1 用户名或密码错误!"),
        ("post_send", {"uid": "nobody"}, "1 用户名或密码错误!"),
        ("get_send", {"mobile": ";".join([NUMBER] * 101)}, "3 超过发送最大量 100 条"),
        ("post_send", {"mobile": ";".join([NUMBER] * 1001)}, "3 超过发送最大量 1000 条"),
        ("post_send", {"mobile": ""}, "5 手机号或发送信息不能为空!"),
        ("post_send", {"msg": ""}, "5 手机号或发送信息不能为空!"),
        ("post_send", {"msg": "来赌博"}, "6 短信内容含有敏感字!"),
        ("post_send", {"msg": "字" * 501}, "7 超过 500 个字,请修改后发送!"),
    ],
)
def test_refusals_of_a_send_are_produced(client, gateway, page, fields, answer):
    """Each documented refusal that a request can bring about comes back, and nothing is sent."""
    assert client.smsadmin(page, **{"mobile": NUMBER, "msg": "x", **fields}) == answer
    assert gateway.messages("smsadmin") == []


def test_accounts_that_may_not_send_are_told_so(client, gateway):
    """2 with too little money, 8 when frozen, 4 when not allowed."""
    account = gateway.account("smsadmin")
    account.balance = account.price
    assert client.smsadmin("post_send", mobile=f"{NUMBER};13800002222", msg="x") == "2 余额不足!"
    account.locked = True
    assert client.smsadmin("post_send", mobile=NUMBER, msg="x").startswith("8 ")
    account.disabled = True
    assert client.smsadmin("post_send", mobile=NUMBER, msg="x").startswith("4 ")


def test_md5_pages_take_the_md5_alone(client, gateway):
    """A password in the clear is a wrong one there, and the MD5 in capitals too."""
    account = gateway.account("smsadmin")
    for password in (account.password, account.password_md5.upper()):
        assert client.smsadmin("post_send_md5", pwd=password, mobile=NUMBER, msg="x").startswith("1 ")


def ddt(client, msg, params):
    return client.smsadmin("post_send_ddt", msg=twice(msg), params=twice(params))


def test_template_drops_malformed_groups_without_a_word(client, gateway):
    """§4: 格式不符的参数, 系统自动过滤掉; ``{value0}`` is the number itself."""
    params = "13800001111,123456,10;13800002222,1;13800003333,1,2,3;x,1,2;13800004444,789, 30"
    assert ddt(client, "{value0}，验证码 {value1}，{value2} 分钟【签名】", params) == "0 发送成功!"
    assert [message.content for message in gateway.messages("smsadmin")] == [
        "13800001111，验证码 123456，10 分钟【签名】",
        "13800004444，验证码 789， 30 分钟【签名】",
    ]


def test_template_whose_groups_all_vanish_is_refused(client):
    """Nothing is left to send, and more than 1,000 groups are too many."""
    assert ddt(client, "{value1}", "13800001111").startswith("5 ")
    assert ddt(client, "{value1}", ";".join(["13800001111,1"] * 1001)).startswith("3 ")


def test_the_other_reading_of_value0_can_be_had(serve):
    """``{value0}`` as the first value after the number."""
    gateway, client = serve(ddt_value0="first_value")
    ddt(client, "码 {value0}", "13800001111,42")
    assert gateway.messages("smsadmin")[0].content == "码 42"


def test_balance_is_money_and_falls(client):
    """0.05 a segment; spaces as printed."""
    client.smsadmin("post_send", mobile=NUMBER, msg="字" * 71)
    assert client.smsadmin("user_info") == "用户 ID=demo_smsadmin 剩余资费=4999.90"
    assert client.smsadmin("user_info_urldecode", uid="demo%5Fsmsadmin").endswith("4999.90")


def test_answers_as_seen_in_the_wild_can_be_had(serve):
    """No space behind the code, the balance on two lines."""
    _, client = serve(smsadmin_layout="seen")
    assert client.smsadmin("post_send", mobile=NUMBER, msg="x") == "0发送成功!"
    assert client.smsadmin("user_info").split("\n\n")[1] == "剩余资费=4999.95"


def test_words_are_checked(client):
    """§6, with either form of the password."""
    md5 = client.gateway.account("smsadmin").password_md5
    assert client.smsadmin("mgz", msg="来赌博，代开发票") == "敏感字:代开发票;赌博;"
    assert client.smsadmin("mgz", msg="您好", pwd=md5) == "不含敏感字"


def test_reports_and_replies_come_twenty_at_a_time_and_once(client, gateway):
    """Then 160 and 150."""
    gateway.queue_reports("smsadmin", 25)
    gateway.queue_replies("smsadmin", 21)
    assert [client.smsadmin("report").count("\n") for _ in range(2)] == [20, 5]
    assert client.smsadmin("report") == "160"
    assert [client.smsadmin("reve").count("\n") for _ in range(2)] == [20, 1]
    assert client.smsadmin("reve_urlencode") == "150"


def test_a_reply_can_forge_a_line_on_the_plain_page_only(client, gateway):
    """``reve_urlencode`` escapes the content, ``reve`` does not."""
    content = "好/x\n13900000000/2020-01-01 00:00:00/1/TD"
    gateway.queue_replies("smsadmin", [(NUMBER, content, "56666", "a1", "2020-01-01 00:00:00")] * 2)
    gateway.queue_replies("smsadmin", [])
    assert client.smsadmin("reve").count("\n") == 4
    gateway.queue_replies("smsadmin", [(NUMBER, content, "56666", "a1", "2020-01-01 00:00:00")])
    number, date, linkid, escaped, subcode = client.smsadmin("reve_urlencode").rstrip("\n").split("/")
    assert (number, date, linkid, subcode) == (NUMBER, "2020-01-01 00:00:00", "a1", "56666")
    assert unquote_to_bytes(escaped).decode("gb18030") == content


def test_reports_carry_the_linkid_or_one_of_the_vendors_own_making(client, gateway):
    """Without a linkid the field is empty, 0, 1 or a number, by the phone number."""
    numbers = [str(13_800_000_000 + index) for index in range(20)]
    client.smsadmin("post_send", mobile=";".join(numbers), msg="x")
    own = {line.split("/")[2] for line in client.smsadmin("report").splitlines()}
    assert {"", "0", "1"} < own
    client.smsadmin("post_send", mobile=NUMBER, msg="x", linkid="L" * 32)
    assert client.smsadmin("report").split("/")[2] == "L" * 32
    assert gateway.waiting("smsadmin", "reports") == 0


def test_polling_faster_than_allowed_is_refused_when_strict(serve):
    """The refusal takes nothing out of the queue."""
    gateway, client = serve(smsadmin_poll_interval=60)
    assert client.smsadmin("report") == "160"
    gateway.queue_reports("smsadmin", 1)
    assert client.smsadmin("report").startswith("9 ")
    assert gateway.waiting("smsadmin", "reports") == 1
    assert client.smsadmin("reve") == "150"


def test_a_repeated_linkid_is_sent_again_unless_refused(client, serve):
    """The document forbids it but names no refusal; a refused submit leaves its linkid free."""
    for _ in range(2):
        assert client.smsadmin("post_send", mobile=NUMBER, msg="x", linkid="a").startswith("0 ")
    assert len(client.gateway.accepted_more_than_once()) == 1
    _, strict = serve(smsadmin_refuses_repeated_linkid=True)
    assert strict.smsadmin("post_send", mobile="", msg="x", linkid="a").startswith("5 ")
    assert strict.smsadmin("post_send", mobile=NUMBER, msg="x", linkid="a").startswith("0 ")
    assert strict.smsadmin("post_send", mobile=NUMBER, msg="x", linkid="a").startswith("10 ")


def test_pages_work_below_a_prefix_and_without_the_last_slash(gateway, client):
    """A gateway may be mounted below any path."""
    account = gateway.account("smsadmin")
    query = f"uid={account.login}&pwd={account.password}"
    for path in ("/smsmarketing/wwwroot/api/report", "/a/b/smsmarketing/wwwroot/api/report/"):
        assert client.http.get(f"{path}?{query}").text == "160"
