"""Runtime: processes, machine, GPU, and whether the telemetry itself is well."""

from grafana import names as n
from grafana.boards import GPU_JOB, INSTANCE, JOB, MACHINE, NODE_JOB, TRITON_JOB, Board, Section
from grafana.panels import GPU as A_GPU
from grafana.panels import Target, lines, number
from grafana.promql import GPU, NODE, SERVICE, TRITON, or_zero, seen, total
from service import telemetry as t

CPUS = NODE.rate(n.NODE_CPU)  # each CPU gains a second in a second
NOT_IDLE = NODE.rate(n.NODE_CPU, 'mode!="idle"', by="mode")
BUSY = NODE.rate(n.NODE_CPU, 'mode!~"idle|iowait|steal"')
STEAL = NODE.rate(n.NODE_CPU, 'mode="steal"')
TRITON_MEMORY = total(TRITON.series(n.TRITON_GPU_MEMORY), "gpu_uuid")
RULE_FAILURES = total(f"rate({n.RULE_FAILURES}[$__rate_interval])", "rule_group")
# Without the path of the file that the group is in.
GROUP_FAILURES = f'label_replace({RULE_FAILURES}, "group", "$1", "rule_group", ".*;(.*)")'
GPU_LOAD = f"max by (instance, gpu) ({SERVICE.series(t.GPU_LOAD.name)})"
STARTED = SERVICE.series(t.STARTED.name)

NOW = Section(
    "Now",
    (
        number(
            "Cores used by the service",
            "Of all its workers. Beside the machine's CPU it says whether the service is what"
            " fills it.",
            "short",
            Target(SERVICE.rate(t.CPU.name), "cores"),
            digits=2,
        ),
        number(
            "Machine's CPU in use",
            "Of all CPUs. Above 80 % latency is mostly waiting: measurements at this load compare"
            " queues, not code.",
            "percentunit",
            Target(f"{BUSY} / {CPUS}", "busy"),
            levels=((None, "green"), (0.8, "orange"), (0.95, "red")),
            digits=0,
        ),
        number(
            "CPU stolen by other machines",
            "Of all CPUs, what the hypervisor gave to others. Above 1 % repeats differ for reasons"
            " that are not ours: the record's doubts say so too.",
            "percentunit",
            Target(f"{STEAL} / {CPUS}", "stolen"),
            levels=((None, "green"), (0.01, "orange"), (0.05, "red")),
            digits=1,
        ),
        number(
            "Restarts of workers",
            "In the time range. Each costs the requests it held; the service's log has the reason"
            " of each end.",
            "short",
            Target(f"sum(changes({STARTED}[$__range]))", "restarts"),
            levels=((None, "green"), (1, "red")),
        ),
    ),
)

PROCESSES = Section(
    "The service's processes",
    (
        lines(
            "Cores used by worker",
            "Workers that differ much share the connections unevenly: the P99 is the busy one's.",
            "short",
            Target(SERVICE.rate(t.CPU.name, by="instance,worker"), "{{instance}} {{worker}}"),
            width=6,
        ),
        lines(
            "Memory by worker",
            "Resident. A line that rises under a steady load is a leak; a step is a new largest"
            " picture.",
            "bytes",
            Target(SERVICE.series(t.MEMORY.name), "{{instance}} {{worker}}"),
            width=6,
        ),
        lines(
            "Open files by worker",
            "Connections mostly. As many as there are clients is right; a rise without them is"
            " sockets that are not closed.",
            "short",
            Target(SERVICE.series(t.FILES.name), "{{instance}} {{worker}}"),
            width=6,
        ),
        lines(
            "Age by worker",
            "Since its process was started. A line that falls to 0 is a restart.",
            "s",
            Target(f"time() - {STARTED}", "{{instance}} {{worker}}"),
            width=6,
        ),
    ),
)

MACHINES = Section(
    "The machine",
    (
        lines(
            "CPU by mode",
            "As shares of all CPUs. system and softirq grow with the number of requests, user with"
            " their pictures; steal is somebody else's.",
            "percentunit",
            Target(
                f"{NOT_IDLE} / on () group_left () {CPUS}",
                "{{mode}}",
            ),
            width=6,
            stacked=True,
            most=1,
        ),
        lines(
            "Pressure",
            "Share of time in which something waited for CPU, memory or disk. CPU pressure begins"
            " before the CPUs are full; any of memory makes a measurement worthless.",
            "percentunit",
            Target(NODE.rate(n.NODE_PRESSURE_CPU), "CPU"),
            Target(NODE.rate(n.NODE_PRESSURE_MEMORY), "memory"),
            Target(NODE.rate(n.NODE_PRESSURE_IO), "disk"),
            width=6,
        ),
        lines(
            "Memory in use",
            "What is not available for a process that asks. Near all of it the kernel ends"
            " processes, the largest first: Triton or a worker.",
            "bytes",
            Target(
                f"{total(NODE.series(n.NODE_MEMORY_TOTAL), 'instance')}"
                f" - {total(NODE.series(n.NODE_MEMORY_AVAILABLE), 'instance')}",
                "{{instance}}",
            ),
            Target(total(NODE.series(n.NODE_MEMORY_TOTAL), "instance"), "all of {{instance}}"),
            width=6,
            dashed="all",
        ),
        lines(
            "Load",
            "Tasks that run or want to, over one minute. Above the number of CPUs they take turns.",
            "short",
            Target(NODE.series(n.NODE_LOAD), "{{instance}}"),
            Target(
                NODE.rate(n.NODE_CPU, by="instance"),
                "CPUs of {{instance}}",
            ),
            width=6,
            dashed="CPUs",
        ),
    ),
)

TELEMETRY = Section(
    "The telemetry itself",
    (
        lines(
            "Targets that do not answer",
            "What is asked of them shows the past: start them, or see Prometheus' page of targets"
            " for the error. loadtests answers while a load runs, gpu on a machine with one.",
            "short",
            Target(or_zero(f"count by (job) ({n.UP} == 0)", by="job"), "{{job}}"),
            width=6,
            stacked=True,
        ),
        lines(
            "Duration of a scrape",
            "It takes the service's CPU while a campaign measures. Near the interval, points are"
            " lost.",
            "s",
            Target(f"max by (job) ({n.SCRAPE_DURATION})", "{{job}}"),
            width=6,
        ),
        lines(
            "Samples and series",
            "What each job says at a scrape, and all series in Prometheus' memory. Every label is"
            " bounded, so growth without a new job is a label that is not.",
            "short",
            Target(f"sum by (job) ({n.SCRAPE_SAMPLES})", "{{job}}"),
            Target(f"sum({n.HEAD_SERIES})", "all series"),
            width=6,
        ),
        lines(
            "Spans by outcome",
            "failed: the receiver of traces is not there. dropped: more than can be sent; trace a"
            " smaller share. Exemplars of spans that were not exported lead nowhere.",
            "ops",
            Target(SERVICE.rate(t.SPANS.name, by="outcome"), "{{outcome}}"),
            width=6,
            colours={"exported": "green", "failed": "red", "dropped": "orange", "recorded": "blue"},
        ),
        lines(
            "Rules that fail",
            "Evaluations of recording rules and alerts that ended in an error. Anything above 0"
            " makes Objectives wrong: Prometheus' page of rules has the error.",
            "ops",
            Target(or_zero(seen(GROUP_FAILURES), by="group"), "{{group}}"),
            width=12,
        ),
        lines(
            "Exemplars kept",
            "Traced requests that Prometheus remembers beside the buckets. 0: nothing is traced, or"
            " Prometheus runs without --enable-feature=exemplar-storage.",
            "short",
            Target(f"sum({n.EXEMPLARS})", "exemplars"),
            width=12,
        ),
    ),
)

GPUS = Section(
    "GPU",
    (
        lines(
            "GPU in use by time",
            "Share of time in which anything ran on it, by the service's look at it and by DCGM's."
            " 100 % does not mean full: one small kernel at a time counts as well.",
            "percentunit",
            Target(GPU_LOAD, "service {{gpu}}"),
            Target(f"max by (gpu) ({GPU.series(n.DCGM_LOAD)}) / 100", "DCGM {{gpu}}"),
            width=6,
            most=1,
            needs=A_GPU,
        ),
        lines(
            "GPU memory in use",
            "Models are loaded once for each instance. Near all of it, a model more does not load.",
            "bytes",
            Target(f"max by (gpu) ({SERVICE.series(t.GPU_MEMORY.name)})", "service {{gpu}}"),
            Target(f"max by (gpu) ({SERVICE.series(t.GPU_MEMORY_TOTAL.name)})", "all of {{gpu}}"),
            Target(f"max by (gpu) ({GPU.series(n.DCGM_MEMORY)}) * 1048576", "DCGM {{gpu}}"),
            Target(TRITON_MEMORY, "Triton {{gpu_uuid}}"),
            width=6,
            dashed="all",
            needs=A_GPU,
        ),
        lines(
            "GPU power",
            "At its limit the clock falls, and the same work takes longer: let it cool between"
            " repeats, or fix the clock.",
            "watt",
            Target(f"max by (gpu) ({GPU.series(n.DCGM_POWER)})", "{{gpu}}"),
            width=6,
            needs=A_GPU,
        ),
        lines(
            "GPU temperature",
            "A card that throttles measures its cooling. Its limit is the vendor's, mostly 80 to"
            " 90 °C.",
            "celsius",
            Target(f"max by (gpu) ({GPU.series(n.DCGM_TEMPERATURE)})", "{{gpu}}"),
            width=6,
            needs=A_GPU,
        ),
    ),
    collapsed=True,
)

BOARD = Board(
    "runtime",
    "Runtime",
    "What the service's processes and the machine do, and whether what all dashboards show can be"
    " trusted.",
    (JOB, INSTANCE, NODE_JOB, MACHINE, TRITON_JOB, GPU_JOB),
    (NOW, PROCESSES, MACHINES, TELEMETRY, GPUS),
    since="now-30m",
)
