#!/usr/bin/env python3
"""What Signalbox costs: prints the tables of docs/cost.md, in Markdown.

    python3 docs/cost.py                              the tables, with the page's example
    python3 docs/cost.py --accounts 3 --runs 24       with figures of your own
    python3 docs/cost.py --price log_gb=0.57          with a price of your own
    python3 docs/cost.py --check docs/cost.md         fails if the page has other tables than these
    python3 docs/cost.py --write docs/cost.md         puts these tables into the page
"""

import argparse
import math
import re
import sys
from dataclasses import dataclass, field

HOURS = 730  # A month, as AWS's own calculator has it.

# Dollars for one of each. us-east-1, arm64, without free tiers. The page's table of prices is made of this.
PRICES = {
    "transition": (0.025 / 1000, "state transition", "0.025 per 1,000", "Step Functions", "AWS's page"),
    "invocation": (0.20 / 1e6, "invocation", "0.20 per million", "Lambda", "cloudchipr.com, 2024"),
    "gb_second": (0.0000133334, "GB-second, arm64", "0.0000133334", "Lambda", "cloudchipr.com, 2024"),
    "write_unit": (0.625 / 1e6, "write request unit", "0.625 per million", "DynamoDB", "airbyte.com, July 2025"),
    "read_unit": (0.125 / 1e6, "read request unit", "0.125 per million", "DynamoDB", "airbyte.com, July 2025"),
    "table_gb": (0.25, "GB-month of a table", "0.25", "DynamoDB", "AWS's page"),
    "backup_gb": (0.20, "GB-month of point-in-time recovery", "0.20", "DynamoDB", "memory, 2025"),
    "sqs_request": (0.40 / 1e6, "request", "0.40 per million", "SQS", "cloudburn.io, March 2026"),
    "event": (0.0, "event of an AWS service, same account", "0", "EventBridge", "AWS's page"),
    "s3_put": (0.005 / 1000, "PUT", "0.005 per 1,000", "S3", "c3x.dev"),
    "s3_get": (0.0004 / 1000, "GET", "0.0004 per 1,000", "S3", "c3x.dev"),
    "s3_gb": (0.023, "GB-month", "0.023", "S3", "memory, 2025"),
    "publish": (0.50 / 1e6, "message", "0.50 per million", "SNS", "factualminds.com, June 2026"),
    "mail": (2.00 / 1e5, "e-mail", "2.00 per 100,000", "SNS", "factualminds.com, June 2026"),
    "log_gb": (0.50, "GB of log, taken in", "0.50", "CloudWatch", "api-evangelist/cloudwatch, May 2026"),
    "log_kept_gb": (0.03, "GB-month of log, kept", "0.03", "CloudWatch", "api-evangelist/cloudwatch, May 2026"),
    "metric": (0.30, "metric and month", "0.30", "CloudWatch", "api-evangelist/cloudwatch, May 2026"),
    "alarm": (0.10, "alarm and month", "0.10", "CloudWatch", "api-evangelist/cloudwatch, May 2026"),
}

# What measured counts do not have: sizes, and how long functions take. Options change them.
GB_OF_A_FUNCTION = 0.25  # MemorySize of the Globals in template.yaml
GB_OF_ECS_RESULT = 0.125
GB_OF_RESUME = 0.5
RECORD_KB = 2.5  # "a record is two to three KB": docs/performance.md
GUARD_KB = 0.5  # "under 1 KB": the guard's README
QUEUES = 4  # event source mappings in template.yaml
ALARMS = 10  # alarms in template.yaml
METRICS = 4  # Sweeps, for each function that sweeps: shared/src/runtime.rs


@dataclass(frozen=True)
class Usage:
    """What is billed."""

    transitions: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    writes: float = 0
    reads: float = 0
    sqs: float = 0
    puts: float = 0
    gets: float = 0
    publishes: float = 0
    mails: float = 0
    log_gb: float = 0

    def __add__(self, other):
        return Usage(*(a + b for a, b in zip(self.parts(), other.parts())))

    def __mul__(self, times):
        return Usage(*(part * times for part in self.parts()))

    def parts(self):
        return [getattr(self, name) for name in self.__dataclass_fields__]


@dataclass
class Costs:
    """The figures, and what follows from them."""

    figures: argparse.Namespace
    prices: dict = field(default_factory=dict)

    def calls(self, times, gb=GB_OF_A_FUNCTION, millis=None):
        """So many invocations, with their logs."""
        seconds = (self.figures.lambda_ms if millis is None else millis) / 1000
        log = times * self.figures.log_bytes / 1e9
        return Usage(invocations=times, gb_seconds=times * seconds * gb, log_gb=log)

    def dollars(self, usage):
        price = self.prices
        return (
            usage.transitions * price["transition"]
            + usage.invocations * price["invocation"]
            + usage.gb_seconds * price["gb_second"]
            + usage.writes * price["write_unit"]
            + usage.reads * price["read_unit"]
            + usage.sqs * price["sqs_request"]
            + usage.puts * price["s3_put"]
            + usage.gets * price["s3_get"]
            + usage.publishes * price["publish"]
            + usage.mails * price["mail"]
            + usage.log_gb * (price["log_gb"] + price["log_kept_gb"])
        )

    # One of each. Where the counts are from is in the page, below the table.

    def guard(self):
        return self.calls(1) + Usage(transitions=1, writes=4, reads=1.5)

    def lock(self):
        return self.calls(2) + Usage(transitions=2, writes=5)

    def lock_waited_for(self):
        return self.calls(2) + Usage(transitions=2, writes=9.85, reads=2.9)

    def held_minute(self):
        return Usage(reads=4)

    def stage(self, result):
        if result == "none":
            return self.calls(3) + Usage(transitions=1, writes=9, reads=5, sqs=6)
        if result == "log":
            return self.calls(4) + Usage(transitions=1, writes=9, reads=5, sqs=6)
        return (
            self.calls(3)
            + self.calls(1, gb=GB_OF_ECS_RESULT)
            + Usage(transitions=1, writes=11, reads=6, sqs=6, puts=1, gets=1)
        )

    def stage_minute(self):
        return Usage(reads=1)

    def run_end(self, stages, has_lock):
        records = max(1, math.ceil(stages * RECORD_KB / 4))
        return self.calls(3) + Usage(reads=(2 if has_lock else 1) + 1 + records, sqs=9)

    def alert(self):
        return self.calls(1) + Usage(writes=17, reads=6, publishes=2, mails=2 * self.figures.mails)

    def counted(self):
        return self.calls(1) + Usage(writes=13, reads=1)

    def plan(self):
        return self.calls(1, gb=GB_OF_RESUME, millis=self.figures.plan_ms) + Usage(reads=2)

    def redrive(self):
        return self.plan() * 2 + Usage(writes=7, reads=6)

    def clone(self):
        extra = self.figures.clone_transitions
        return self.plan() * 2 + Usage(transitions=extra, writes=6, reads=6)

    # Beside it.

    def native(self, with_value):
        value = Usage(transitions=1, puts=1, gets=1) if with_value else Usage()
        return Usage(transitions=1) + value

    def looped(self, with_value):
        polls = math.ceil(self.figures.stage_minutes * 60 / self.figures.poll_seconds)
        return self.native(with_value) + Usage(transitions=3 * polls)

    def semaphore(self):
        return Usage(transitions=3, writes=2)

    def semaphore_hour(self):
        return Usage(transitions=545.28, writes=381.7, reads=27.26)

    def look_before(self):
        """ListExecutions, and a Choice: it does not decide between two that look at once."""
        return Usage(transitions=2)

    # Whether anything runs or not, in an account and a month.

    def sweeps(self):
        minutes = HOURS * 60
        watched = min(4, self.figures.pipelines)
        lock = Usage(reads=3 * 0.5)
        ecs = Usage(reads=0.5)
        alerts = Usage(reads=3 * 0.5 + 1 + watched, writes=2 * watched)
        each = self.calls(3, millis=self.figures.sweep_ms) + lock + ecs + alerts
        hourly = self.calls(1, gb=GB_OF_RESUME, millis=self.figures.sweep_ms) + Usage(reads=1)
        return each * minutes + hourly * HOURS

    def empty_polls(self):
        return Usage(sqs=QUEUES * self.figures.pollers * 3 * 60 * HOURS)

    # A month of all accounts.

    def runs(self):
        figures = self.figures
        return figures.accounts * figures.pipelines * figures.runs * HOURS / 24

    def stages(self):
        return self.runs() * self.figures.stages

    def kept_gb(self):
        guard = self.runs() * 12 * GUARD_KB if self.figures.guard else 0
        records = self.stages() * RECORD_KB
        return (guard + records) / 1e6


# Tables.


def money(dollars, digits=2):
    return f"{dollars:,.{digits}f}"


def count(amount):
    if amount == 0:
        return "0"
    if abs(amount - round(amount)) < 1e-9:
        return f"{round(amount):,}"
    return f"{amount:,.2f}".rstrip("0").rstrip(".") if amount < 100 else f"{amount:,.0f}"


def table(head, rows, words=(0,)):
    """A table that lines up: columns with words to the left, those with numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(3, *(len(row[at]) for row in cells)) for at in range(len(head))]

    def line(row):
        sized = enumerate(zip(row, widths))
        padded = (cell.ljust(width) if at in words else cell.rjust(width) for at, (cell, width) in sized)
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (width + 2) if at in words else "-" * (width + 1) + ":" for at, width in enumerate(widths)]
    return "\n".join([line(cells[0]), "|" + "|".join(rule) + "|", *map(line, cells[1:])])


def prices_table(costs):
    rows = []
    for name, (default, what, shown, service, source) in PRICES.items():
        own = costs.prices[name] != default
        rows.append([service, what, f"{costs.prices[name]:g}" if own else shown, "yours" if own else source, f"`{name}`"])
    return table(["service", "one", "$", "from", "`--price`"], rows, words=range(5))


def each_table(costs):
    figures = costs.figures
    minutes, stages = figures.stage_minutes, figures.stages
    rows = [
        ("overlap guard, a run on its own", costs.guard()),
        ("lock, free: acquire and release", costs.lock()),
        ("lock, waited for: the same", costs.lock_waited_for()),
        ("lock, each minute that it is in use", costs.held_minute()),
        ("lock, each hour that a run waits", Usage()),
        ("stage of ECS, exit code only", costs.stage("none")),
        ("stage of ECS, result by URL", costs.stage("url")),
        ("stage of ECS, result by log", costs.stage("log")),
        ("stage of ECS, each minute that it runs", costs.stage_minute()),
        (f"end of a run with {count(stages)} stages and a lock", costs.run_end(stages, True)),
        ("end of a run with neither", costs.run_end(0, False)),
        ("alert: a failure, its window, its recovery", costs.alert()),
        ("alert: each further failure of a storm", costs.counted()),
        ("resume: a plan", costs.plan()),
        ("resume: a plan, and the redrive", costs.redrive()),
        (f"resume: a plan, and a clone with {count(figures.clone_transitions)} states put in", costs.clone()),
        ("_beside it_", None),
        ("`ecs:runTask.sync`, no value", costs.native(False)),
        ("`ecs:runTask.sync`, and a state that reads the value", costs.native(True)),
        (f"a loop that polls ECS, {count(minutes)} min at {count(figures.poll_seconds)} s", costs.looped(False)),
        ("semaphore that is polled, free", costs.semaphore()),
        ("semaphore, each hour that a run waits", costs.semaphore_hour()),
        ("`ListExecutions` and a Choice, for a guard", costs.look_before()),
    ]
    shown = []
    for name, usage in rows:
        if usage is None:
            shown.append([name] + [""] * 7)
            continue
        shown.append(
            [
                name,
                count(usage.transitions),
                count(usage.invocations),
                count(usage.writes),
                count(usage.reads),
                count(usage.sqs),
                count(usage.puts + usage.gets),
                money(costs.dollars(usage) * 1e6),
            ]
        )
    head = ["one", "transitions", "Lambda", "write units", "read units", "SQS", "S3", "$ per million"]
    return table(head, shown)


def standing_table(costs):
    sweeps, polls = costs.sweeps(), costs.empty_polls()
    price = costs.prices
    calls = Usage(invocations=sweeps.invocations, gb_seconds=sweeps.gb_seconds)
    paid = Usage(invocations=left(calls.invocations, 1e6), gb_seconds=left(calls.gb_seconds, 4e5))
    items = Usage(writes=sweeps.writes, reads=sweeps.reads)
    log = Usage(log_gb=sweeps.log_gb)
    rows = [
        ("metrics, namespace `Signalbox`", METRICS, METRICS * price["metric"], left(METRICS, 10) * price["metric"]),
        ("receives of empty queues", polls.sqs, costs.dollars(polls), left(polls.sqs, 1e6) * price["sqs_request"]),
        ("alarms", ALARMS, ALARMS * price["alarm"], left(ALARMS, 10) * price["alarm"]),
        ("sweeps: invocations", sweeps.invocations, costs.dollars(calls), costs.dollars(paid)),
        ("sweeps: write and read units", sweeps.writes + sweeps.reads, costs.dollars(items), costs.dollars(items)),
        ("sweeps: log, GB", sweeps.log_gb, costs.dollars(log), left(sweeps.log_gb, 5) * price["log_gb"]),
    ]
    shown = [[name, count(amount), money(dollars), money(after)] for name, amount, dollars, after in rows]
    sums = [sum(row[at] for row in rows) for at in (2, 3)]
    shown.append(["**an account and month**", ""] + [f"**{money(dollars)}**" for dollars in sums])
    return table(["", "amount", "$", "$ after free tiers"], shown)


def left(amount, free):
    """What is paid for."""
    return max(0, amount - free)


def standing(costs):
    price = costs.prices
    used = costs.dollars(costs.sweeps() + costs.empty_polls())
    return used + METRICS * price["metric"] + ALARMS * price["alarm"]


def parts(costs):
    """What runs use in a month, by capability."""
    figures = costs.figures
    runs, stages = costs.runs(), costs.stages()
    waits = runs * figures.locks * figures.waited
    failures = figures.failures * figures.accounts * figures.pipelines
    lock = costs.lock() * (runs * figures.locks - waits) + costs.lock_waited_for() * waits
    lock += costs.held_minute() * (runs * figures.locks * figures.held_minutes)
    return {
        "guard": costs.guard() * (runs * figures.guard),
        "lock": lock,
        "stages": (costs.stage(figures.result) + costs.stage_minute() * figures.stage_minutes) * stages,
        "ends of runs": costs.run_end(figures.stages, figures.locks > 0) * runs,
        "alerts": costs.alert() * failures,
        "resumes": costs.redrive() * failures,
    }


def month_table(costs):
    figures, price = costs.figures, costs.prices
    used = parts(costs)
    of_runs = sum(used.values(), Usage())
    fleet = (costs.sweeps() + costs.empty_polls()) * figures.accounts
    kept = costs.kept_gb()
    metrics, alarms = METRICS * figures.accounts, ALARMS * figures.accounts
    s3_kept = costs.stages() * figures.result_kb / 1e6 if figures.result == "url" else 0
    lines = [
        ("Step Functions: transitions", of_runs.transitions, 0, "transition"),
        ("Lambda: invocations", of_runs.invocations, fleet.invocations, "invocation"),
        ("Lambda: GB-seconds", of_runs.gb_seconds, fleet.gb_seconds, "gb_second"),
        ("DynamoDB: write units", of_runs.writes, fleet.writes, "write_unit"),
        ("DynamoDB: read units", of_runs.reads, fleet.reads, "read_unit"),
        ("DynamoDB: GB kept", kept, 0, "table_gb"),
        ("DynamoDB: GB of recovery", kept, 0, "backup_gb"),
        ("SQS: requests", of_runs.sqs, fleet.sqs, "sqs_request"),
        ("EventBridge: events", events(costs), 0, "event"),
        ("S3: PUT", of_runs.puts, 0, "s3_put"),
        ("S3: GET", of_runs.gets, 0, "s3_get"),
        ("S3: GB kept", s3_kept, 0, "s3_gb"),
        ("SNS: messages", of_runs.publishes, 0, "publish"),
        ("SNS: e-mails", of_runs.mails, 0, "mail"),
        ("CloudWatch: GB of log", of_runs.log_gb, fleet.log_gb, "log_gb"),
        ("CloudWatch: GB of log kept", of_runs.log_gb, fleet.log_gb, "log_kept_gb"),
        ("CloudWatch: metrics", 0, metrics, "metric"),
        ("CloudWatch: alarms", 0, alarms, "alarm"),
    ]
    rows, sums = [], [0.0, 0.0]
    for name, by_runs, by_fleet, unit in lines:
        dollars = [by_runs * price[unit], by_fleet * price[unit]]
        sums = [sums[0] + dollars[0], sums[1] + dollars[1]]
        rows.append([name, count(by_runs), money(dollars[0]), count(by_fleet), money(dollars[1]), money(sum(dollars))])
    rows.append(["**all**", "", f"**{money(sums[0])}**", "", f"**{money(sums[1])}**", f"**{money(sum(sums))}**"])
    return table(["a month", "by runs", "$", "standing", "$", "$ in all"], rows)


def events(costs):
    """Status events by three rules, and two events of each task."""
    return costs.runs() * 3 + costs.stages() * 2


def parts_table(costs):
    figures = costs.figures
    rows, total = [], 0.0
    for name, usage in parts(costs).items():
        dollars = costs.dollars(usage)
        total += dollars
        rows.append([name, count(usage.transitions), money(dollars)])
    rest = costs.kept_gb() * (costs.prices["table_gb"] + costs.prices["backup_gb"])
    if figures.result == "url":
        rest += costs.stages() * figures.result_kb / 1e6 * costs.prices["s3_gb"]
    fleet = standing(costs) * figures.accounts
    rows.append(["what is kept in tables and the bucket", "0", money(rest)])
    rows.append([f"standing, {count(figures.accounts)} accounts", "0", money(fleet)])
    rows.append(["**all**", "", f"**{money(total + rest + fleet)}**"])
    return table(["a month", "transitions", "$"], rows)


def beside_table(costs):
    figures = costs.figures
    runs, stages = costs.runs(), costs.stages()
    used = parts(costs)
    waited_hours = runs * figures.locks * figures.waited * figures.wait_minutes / 60
    semaphore = costs.dollars(costs.semaphore() * (runs * figures.locks))
    semaphore_waits = costs.dollars(costs.semaphore_hour() * waited_hours)
    guard = costs.dollars(costs.look_before() * (runs * figures.guard))
    rest = costs.kept_gb() * (costs.prices["table_gb"] + costs.prices["backup_gb"])
    if figures.result == "url":
        rest += costs.stages() * figures.result_kb / 1e6 * costs.prices["s3_gb"]
    has_value = figures.result != "none"
    native = costs.dollars(costs.native(has_value) * stages)
    looped = costs.dollars(costs.looped(has_value) * stages)
    fleet = standing(costs) * figures.accounts
    ends = costs.dollars(used["ends of runs"] + used["alerts"] + used["resumes"])
    relay = costs.dollars(used["stages"]) + rest
    rows = [
        ["stages, with their values" if has_value else "stages", relay, native, looped],
        ["one run at a time", costs.dollars(used["guard"]), guard, guard],
        ["the lock", costs.dollars(used["lock"]), semaphore, semaphore],
        [f"waiting for it, {count(waited_hours)} h", 0.0, semaphore_waits, semaphore_waits],
        ["ends of runs, alerts, resumes", ends, 0.0, 0.0],
        ["standing", fleet, 0.0, 0.0],
    ]
    shown = [[name, *map(money, amounts)] for name, *amounts in rows]
    sums = [sum(row[at] for row in rows) for at in (1, 2, 3)]
    shown.append(["**$ a month**"] + [f"**{money(amount)}**" for amount in sums])
    return table(["", "Signalbox", "`.sync`, semaphore", "loops, semaphore"], shown)


def even_table(costs):
    """What an account has to do in a month until its standing costs are made up for."""
    figures, fixed = costs.figures, standing(costs)
    relay = costs.stage(figures.result) + costs.stage_minute() * figures.stage_minutes
    has_value = figures.result != "none"
    rows = [
        (f"stages of {count(figures.stage_minutes)} min that a loop would poll", costs.looped(has_value), relay),
        ("stages by `.sync`, with what reads the value", costs.native(has_value), relay),
        ("hours that runs wait for a semaphore that is polled", costs.semaphore_hour(), Usage()),
    ]
    shown = []
    for name, by_hand, by_fleet in rows:
        saved = costs.dollars(by_hand) - costs.dollars(by_fleet)
        shown.append([name, money(saved * 1e6), count(math.ceil(fixed / saved)) if saved > 0 else "never"])
    return table(["", "saves, $ per million", "a month"], shown)


def figures_table(costs):
    figures = costs.figures
    rows = [
        ["accounts", count(figures.accounts), "`--accounts`"],
        ["pipelines in each", count(figures.pipelines), "`--pipelines`"],
        ["runs of each a day", count(figures.runs), "`--runs`"],
        ["stages of ECS in a run", count(figures.stages), "`--stages`"],
        ["minutes that a stage runs", count(figures.stage_minutes), "`--stage-minutes`"],
        ["result of a stage: `url`, `log` or `none`", figures.result, "`--result`"],
        ["KB of a result", count(figures.result_kb), "`--result-kb`"],
        ["guards that a run asks", count(figures.guard), "`--guard`"],
        ["locks that a run takes", count(figures.locks), "`--locks`"],
        ["minutes that it has each", count(figures.held_minutes), "`--held-minutes`"],
        ["share of them that are waited for", count(figures.waited), "`--waited`"],
        ["minutes that is waited", count(figures.wait_minutes), "`--wait-minutes`"],
        ["failures of a pipeline a month, each resumed", count(figures.failures), "`--failures`"],
        ["e-mail addresses", count(figures.mails), "`--mails`"],
        ["states that a clone puts in", count(figures.clone_transitions), "`--clone-transitions`"],
        ["seconds between two polls of a loop", count(figures.poll_seconds), "`--poll-seconds`"],
        ["ms of an invocation", count(figures.lambda_ms), "`--lambda-ms`"],
        ["ms of a sweep", count(figures.sweep_ms), "`--sweep-ms`"],
        ["ms of a plan", count(figures.plan_ms), "`--plan-ms`"],
        ["bytes of log of an invocation", count(figures.log_bytes), "`--log-bytes`"],
        ["pollers of Lambda at each queue", count(figures.pollers), "`--pollers`"],
        ["**runs a month, all accounts**", f"**{count(round(costs.runs()))}**", ""],
        ["**stages a month, all accounts**", f"**{count(round(costs.stages()))}**", ""],
    ]
    return table(["", "example", "option"], rows, words=(0, 2))


TABLES = {
    "prices": prices_table,
    "figures": figures_table,
    "each": each_table,
    "standing": standing_table,
    "month": month_table,
    "parts": parts_table,
    "beside": beside_table,
    "even": even_table,
}


# The command line.


def parser():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def number(name, default, least=0.0, most=math.inf):
        def read(text):
            try:
                value = float(text)
            except ValueError:
                raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
            if not least <= value <= most or math.isinf(value):
                bounds = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
                raise argparse.ArgumentTypeError(f"is {text}; it must be a number, {bounds}")
            return value

        options.add_argument(f"--{name}", type=read, default=default, metavar="N", help=f"{default:g} if not given")

    number("accounts", 35.0)
    number("pipelines", 7.0)
    number("runs", 1.0)
    number("stages", 35.0)
    number("stage-minutes", 10.0)
    options.add_argument("--result", choices=["url", "log", "none"], default="url")
    number("result-kb", 2.0)
    number("guard", 1.0)
    number("locks", 1.0)
    number("held-minutes", 60.0)
    number("waited", 0.5, most=1.0)
    number("wait-minutes", 30.0)
    number("failures", 1.0)
    number("mails", 1.0)
    number("clone-transitions", 10.0)
    number("poll-seconds", 30.0, least=1.0)
    number("lambda-ms", 100.0)
    number("sweep-ms", 500.0)
    number("plan-ms", 3000.0)
    number("log-bytes", 1200.0)
    number("pollers", 5.0)
    options.add_argument("--price", action="append", default=[], metavar="NAME=DOLLARS", help="of one: " + ", ".join(PRICES))
    options.add_argument("--table", choices=list(TABLES), help="this table alone")
    page = options.add_mutually_exclusive_group()
    page.add_argument("--check", metavar="PAGE", help="fail if the page has other tables than these")
    page.add_argument("--write", metavar="PAGE", help="put these tables into the page")
    return options


def read_prices(options, given):
    prices = {name: entry[0] for name, entry in PRICES.items()}
    for text in given:
        name, _, value = text.partition("=")
        if name not in prices:
            options.error(f"--price: {name!r} is no price; there are {', '.join(prices)}")
        try:
            prices[name] = float(value)
        except ValueError:
            options.error(f"--price {name}: {value!r} is no number of dollars")
        if not 0 <= prices[name] < math.inf:
            options.error(f"--price {name}: is {value}; it must be a number of 0 or more")
    return prices


# Each table stands between its marks.
MARKED = re.compile(r"(<!-- cost\.py: (\w+) -->\n)(.*?)(\n?<!-- end -->)", flags=re.DOTALL)


def differences(page, tables):
    """What the page has in other words than the tables."""
    found = {name: text for _, name, text, _ in MARKED.findall(page)}
    wrong = [f"{name}: there is no such table" for name in found if name not in tables]
    for name, text in tables.items():
        if name not in found:
            wrong.append(f"{name}: is not in the page, between <!-- cost.py: {name} --> and <!-- end -->")
        elif found[name].strip() != text:
            wrong.append(f"{name}: is another one; python3 docs/cost.py --table {name} prints it")
    return wrong


def main():
    options = parser()
    figures = options.parse_args()
    costs = Costs(figures, read_prices(options, figures.price))
    tables = {name: make(costs) for name, make in TABLES.items()}
    if figures.check:
        with open(figures.check, encoding="utf-8") as page:
            wrong = differences(page.read(), tables)
        for line in wrong:
            print(f"{figures.check}: {line}", file=sys.stderr)
        return 1 if wrong else 0
    if figures.write:
        with open(figures.write, encoding="utf-8") as page:
            old = page.read()
        new = MARKED.sub(lambda mark: f"{mark[1]}{tables.get(mark[2], mark[3])}\n<!-- end -->", old)
        with open(figures.write, "w", encoding="utf-8") as page:
            page.write(new)
        return 0
    if figures.table:
        print(tables[figures.table])
        return 0
    print("\n\n".join(f"<!-- cost.py: {name} -->\n{text}\n<!-- end -->" for name, text in tables.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
