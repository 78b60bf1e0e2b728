package dev.graft.benchmarks.gpu;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectPackage;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.ClassNameFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** The CUDA engine's tests: the contract of all engines, models, parity with PEFT. */
final class ConformanceSection implements Section {
    /** Which engine the tests open; see {@code Emulation} in the tests of graft-cuda. */
    private static final String ENGINE_PROPERTY = "graft.test.engine";

    private static final String PACKAGE = "dev.graft.cuda";
    private static final int MOST_FAILURES = 100;
    private static final int LONGEST_MESSAGE = 300;

    /**
     * A test, or a class that could not be set up.
     *
     * @param message on one line, shortened
     */
    record Failure(String test, String message) {}

    /**
     * The outcome.
     *
     * @param passed whether tests ran and none failed
     * @param skipReasons each reason once
     */
    record Result(
            boolean passed,
            String tests,
            long succeeded,
            long failed,
            long skipped,
            double seconds,
            List<Failure> failures,
            List<String> skipReasons)
            implements Verdict {}

    @Override
    public String name() {
        return "conformance";
    }

    @Override
    public boolean opensEngines() {
        return true;
    }

    @Override
    public Result run(Verification verification) {
        System.setProperty(ENGINE_PROPERTY, verification.target().engineName());
        Tally tally = new Tally();
        long start = System.nanoTime();
        LauncherFactory.create().execute(request(verification.tests()), tally);
        return tally.result(verification.tests(), (System.nanoTime() - start) / 1e9);
    }

    private static LauncherDiscoveryRequest request(String tests) {
        Predicate<String> wanted = Pattern.compile(tests).asPredicate();
        return LauncherDiscoveryRequestBuilder.request()
                .selectors(selectPackage(PACKAGE))
                // about the sources and what a build holds, not about the GPU
                .filters(ClassNameFilter.excludeClassNamePatterns(".*(Architecture|Refusals)Test"))
                .filters((PostDiscoveryFilter) test ->
                        FilterResult.includedIf(wanted.test(test.getUniqueId().toString())))
                .build();
    }

    private static final class Tally implements TestExecutionListener {
        private final List<Failure> failures = new ArrayList<>();
        private final TreeSet<String> skipReasons = new TreeSet<>();
        private long succeeded;
        private long failed;
        private long skipped;
        private @Nullable TestPlan plan;

        @Override
        public void testPlanExecutionStarted(TestPlan started) {
            plan = started;
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            skip(test, reason);
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            switch (result.getStatus()) {
                case SUCCESSFUL -> succeeded += test.isTest() ? 1 : 0;
                case ABORTED ->
                    skip(test, result.getThrowable().map(Throwable::getMessage).orElse("no reason given"));
                case FAILED -> {
                    failed++;
                    if (failures.size() < MOST_FAILURES) {
                        failures.add(new Failure(name(test), message(result)));
                    }
                }
            }
        }

        private void skip(TestIdentifier test, String reason) {
            // a container stands for what is in it
            skipped += test.isTest()
                    ? 1
                    : Math.max(
                            1,
                            Objects.requireNonNull(plan).getDescendants(test).stream()
                                    .filter(TestIdentifier::isTest)
                                    .count());
            skipReasons.add(reason);
        }

        /** On one line: assertions say what they compare over several. */
        private static String message(TestExecutionResult result) {
            String text = result.getThrowable().map(Throwable::toString).orElse("no reason given");
            String line = text.strip().replaceAll("\\s+", " ");
            // of arrays that differ, where they do is said at the end
            int half = LONGEST_MESSAGE / 2;
            return line.length() <= LONGEST_MESSAGE
                    ? line
                    : line.substring(0, half) + " … " + line.substring(line.length() - half);
        }

        /** Display names from the class down. */
        private String name(TestIdentifier test) {
            StringBuilder name = new StringBuilder(test.getDisplayName());
            TestPlan tests = Objects.requireNonNull(plan);
            Optional<TestIdentifier> parent = tests.getParent(test);
            while (parent.isPresent() && parent.get().getParentId().isPresent()) {
                name.insert(0, parent.get().getDisplayName() + " > ");
                parent = tests.getParent(parent.get());
            }
            return name.toString();
        }

        Result result(String tests, double seconds) {
            return new Result(
                    failed == 0 && succeeded > 0,
                    tests,
                    succeeded,
                    failed,
                    skipped,
                    seconds,
                    failures,
                    List.copyOf(skipReasons));
        }
    }
}
