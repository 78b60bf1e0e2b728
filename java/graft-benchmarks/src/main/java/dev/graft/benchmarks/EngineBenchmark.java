package dev.graft.benchmarks;

import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What all benchmarks of an engine share. Each run waits for the engine, which costs a GPU some microseconds: kernels on a GPU are
 * timed by {@code scripts/gpu-verify}, on the GPU's own clock.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
        value = 1,
        jvmArgs = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public abstract class EngineBenchmark {
    /** As typed after {@code --engine}. */
    @Param("cpu")
    public String engine = "";

    private @Nullable Operands operands;

    @Setup(Level.Trial)
    public void setUp() {
        operands = new Operands(engine);
        prepare(operands);
    }

    /** Makes what the benchmark runs. */
    abstract void prepare(Operands on);

    @TearDown(Level.Trial)
    public void tearDown() {
        Objects.requireNonNull(operands).close();
    }
}
