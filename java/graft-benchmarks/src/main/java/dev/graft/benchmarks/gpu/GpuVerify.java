package dev.graft.benchmarks.gpu;

import dev.graft.common.InputException;
import dev.graft.cuda.CudaEngine;
import dev.graft.engine.EngineFailure;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Whether the CUDA engine computes right on this machine's GPU, and how fast. Writes one JSON file; sections that are in it already
 * and not asked for stay as they are, so that each can run in a process of its own. {@code scripts/gpu-verify} does so.
 */
@Command(
        name = "GpuVerify",
        mixinStandardHelpOptions = true,
        description = "Verifies and measures the CUDA engine; writes one JSON file and prints a short table.",
        footer =
                "Exit code: 0 all well, 2 the options are at fault, 3 a section failed, which then stands in the file.")
public final class GpuVerify implements Callable<Integer> {
    private static final List<Section> SECTIONS = List.of(
            new EnvironmentSection(),
            new ConformanceSection(),
            new KernelsSection(),
            new LoraLinearSection(),
            new StepSection(),
            new OperationsSection(),
            new TrainingSection(),
            new ReadOnlySection(),
            new PytorchSection(),
            new GrowthSection(),
            new SanitizeSection());

    private static final String USUAL =
            "environment,conformance,training,kernels,lora_linear,step,operations,read_only";

    private static final int WRONG = 3;

    @Option(names = "--engine", paramLabel = "NAME", description = "cuda or cuda-emulated (default: ${DEFAULT-VALUE}).")
    private String engine = CudaEngine.NAME;

    @Option(names = "--out", paramLabel = "FILE", required = true, description = "The JSON file.")
    private Path out = Path.of("");

    @Option(
            names = "--sections",
            split = ",",
            paramLabel = "NAME",
            defaultValue = USUAL,
            description =
                    "Those to run, in this order (default: ${DEFAULT-VALUE}); besides: pytorch, growth, sanitize, none.")
    private List<String> sections = List.of();

    @Option(names = "--tiny", description = "Everything once, at sizes for the emulator.")
    private boolean tiny;

    @Option(names = "--quick", description = "The most telling cases only.")
    private boolean quick;

    @Option(
            names = "--seconds",
            paramLabel = "N",
            description = "Begin no further case after this many seconds (default: ${DEFAULT-VALUE}).")
    private int seconds = 3600;

    @Option(
            names = "--tests",
            paramLabel = "REGEX",
            description = "Of the conformance tests only those in whose JUnit id it is found.")
    private String tests = "";

    @Option(names = "--pytorch", paramLabel = "FILE", description = "What scripts/reference/gpu_lora.py wrote.")
    private @Nullable Path pytorch;

    @Option(names = "--graft-version", paramLabel = "TEXT", description = "Noted in the file.")
    private String version = "unknown";

    @Option(names = "--command", paramLabel = "TEXT", description = "Noted in the file.")
    private String command = "GpuVerify";

    @Option(
            names = "--failed",
            paramLabel = "NAME=REASON",
            description = "Note in the file that a section's process came to grief.")
    private Map<String, String> failed = Map.of();

    @Option(names = "--table", description = "Print the table of the whole file at the end.")
    private boolean table;

    private GpuVerify() {}

    public static void main(String[] arguments) {
        System.exit(execute(arguments));
    }

    /** The exit code. */
    static int execute(String... arguments) {
        return new CommandLine(new GpuVerify()).execute(arguments);
    }

    @Override
    public Integer call() {
        try {
            return run();
        } catch (InputException e) {
            System.err.println("gpu-verify: " + e.getMessage());
            return CommandLine.ExitCode.USAGE;
        }
    }

    private int run() {
        Effort effort = tiny ? Effort.TINY : quick ? Effort.QUICK : Effort.FULL;
        Target target = Target.named(engine);
        Report report = Report.open(out);
        Verification verification = new Verification(
                target, effort, Deadline.in(seconds), tests, pytorch, version, command, report.root(), result -> {});
        failed.forEach(report::fail);
        boolean passed = failed.isEmpty();
        for (Section section : chosen()) {
            try (CudaEngine held = holdContext(section, verification.target())) {
                passed &= runSection(section, verification, report);
            }
        }
        if (table) {
            new Table(report.root()).lines().forEach(System.out::println);
            passed = report.passed();
        }
        return passed ? CommandLine.ExitCode.OK : WRONG;
    }

    /**
     * A driver makes a GPU's context anew, with all its kernels, for each engine of a section unless one is open all the while. The
     * emulator, which counts those that are open, does not.
     */
    private static @Nullable CudaEngine holdContext(Section section, Target target) {
        return section.opensEngines() && !target.isEmulated() ? target.open(Variant.PLAIN) : null;
    }

    private List<Section> chosen() {
        List<Section> chosen = new ArrayList<>();
        for (String name : sections) {
            if (!name.equals("none")) {
                chosen.add(SECTIONS.stream()
                        .filter(section -> section.name().equals(name))
                        .findFirst()
                        .orElseThrow(() -> new InputException("--sections " + name + ": there are "
                                + SECTIONS.stream().map(Section::name).collect(Collectors.joining(", ")))));
            }
        }
        return chosen;
    }

    /** A section that fails is noted, and the next one gets its turn. */
    private static boolean runSection(Section section, Verification verification, Report report) {
        long start = System.nanoTime();
        boolean passed;
        report.begin(section.name());
        try {
            Object result = section.run(verification.keeping(soFar -> report.put(section.name(), soFar)));
            report.put(section.name(), result);
            passed = !(result instanceof Section.Verdict verdict) || verdict.passed();
        } catch (InputException | EngineFailure e) {
            report.fail(section.name(), e.getMessage());
            System.err.println("gpu-verify: " + section.name() + ": " + e.getMessage());
            passed = false;
        }
        System.err.printf(
                "gpu-verify: %s %s in %.1f s%n",
                section.name(), passed ? "done" : "FAILED", (System.nanoTime() - start) / 1e9);
        return passed;
    }
}
