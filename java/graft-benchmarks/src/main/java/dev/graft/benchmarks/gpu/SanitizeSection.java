package dev.graft.benchmarks.gpu;

import dev.graft.common.InputException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The tests of adapters, attention, norms, loss and optimizer once more under NVIDIA's compute-sanitizer. */
final class SanitizeSection implements Section {
    private static final String PROGRAM = "compute-sanitizer";
    private static final List<String> TOOLS = List.of("memcheck", "racecheck");
    private static final String TESTS =
            "CudaEngineTest.*nested-class:Of(Lora|Attention|RmsNorm|CrossEntropy|Optimizer)|HopperAttentionTest";
    private static final int MOST_SECONDS = 240;
    private static final int MOST_LINES = 20;

    /**
     * A tool's findings.
     *
     * @param passed the tool found nothing and the tests passed
     * @param lines the last ones of the tool, the summary among them
     */
    record Finding(String tool, boolean passed, int exit, double seconds, List<String> lines) {}

    /** Of all tools. */
    record Result(boolean passed, String tests, List<Finding> findings) implements Verdict {}

    @Override
    public String name() {
        return "sanitize";
    }

    @Override
    public Result run(Verification verification) {
        if (verification.target().isEmulated()) {
            throw new InputException("--sections sanitize: " + PROGRAM + " checks a GPU; the emulator checks itself");
        }
        List<Finding> findings =
                TOOLS.stream().map(tool -> check(tool, verification)).toList();
        return new Result(findings.stream().allMatch(Finding::passed), TESTS, findings);
    }

    private static Finding check(String tool, Verification verification) {
        long start = System.nanoTime();
        try {
            Path log = Files.createTempFile("graft-sanitize", ".log");
            Path report = Files.createTempFile("graft-sanitize", ".json");
            Files.delete(report);
            Process process = new ProcessBuilder(command(tool, verification, log, report))
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            boolean ended = process.waitFor(MOST_SECONDS, TimeUnit.SECONDS);
            if (!ended) {
                process.destroyForcibly().waitFor();
            }
            List<String> lines =
                    Files.readString(log, StandardCharsets.UTF_8).lines().toList();
            Files.delete(log);
            Files.deleteIfExists(report);
            int exit = ended ? process.exitValue() : -1;
            List<String> last = new ArrayList<>(lines.subList(Math.max(0, lines.size() - MOST_LINES), lines.size()));
            if (!ended) {
                last.add("stopped after " + MOST_SECONDS + " seconds");
            }
            return new Finding(tool, exit == 0, exit, (System.nanoTime() - start) / 1e9, last);
        } catch (IOException e) {
            throw new InputException(PROGRAM + " cannot be run (" + e.getMessage()
                    + "); it comes with the CUDA toolkit: put its bin folder on the PATH");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InputException(PROGRAM + " was interrupted");
        }
    }

    /** This very program, under the tool; both end with an exit code that tells. */
    private static List<String> command(String tool, Verification verification, Path log, Path report) {
        List<String> command = new ArrayList<>(List.of(
                PROGRAM,
                "--tool",
                tool,
                "--target-processes",
                "all",
                "--error-exitcode",
                "86",
                "--print-limit",
                Integer.toString(MOST_LINES),
                "--log-file",
                log.toString(),
                Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.add("-Dgraft.test.apart=true"); // an overrun is seen where it leaves an allocation
        command.addAll(List.of(
                "-cp",
                System.getProperty("java.class.path"),
                GpuVerify.class.getName(),
                "--engine",
                verification.target().engineName(),
                "--sections",
                "conformance",
                "--tests",
                TESTS,
                "--out",
                report.toString()));
        return command;
    }
}
