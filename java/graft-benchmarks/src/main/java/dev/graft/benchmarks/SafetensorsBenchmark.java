package dev.graft.benchmarks;

import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.model.KnownShape;
import dev.graft.model.WeightShape;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
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

/** Opening a checkpoint: the header is read and checked, the weights are mapped and not touched. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class SafetensorsBenchmark {
    @Param({"smollm2-135m", "qwen2.5-0.5b"})
    public String model = "";

    private Path folder = Path.of("");
    private Path file = Path.of("");

    @Setup(Level.Trial)
    public void setUp() throws IOException {
        folder = Files.createTempDirectory("graft-benchmark");
        file = folder.resolve("model.safetensors");
        try (Arena arena = Arena.ofConfined()) {
            List<WeightShape> shapes = WeightShape.of(KnownShape.of(model).config());
            long largest = shapes.stream().mapToLong(WeightShape::size).max().orElse(0);
            MemorySegment zeros = arena.allocate(largest * DType.BF16.byteSize(), 8);
            SafetensorsWriter.write(
                    file,
                    Map.of("format", "pt"),
                    shapes.stream()
                            .map(shape -> SafetensorsWriter.Entry.of(
                                    shape.name(),
                                    DType.BF16,
                                    shape.storedShape(),
                                    zeros.asSlice(0, shape.size() * DType.BF16.byteSize())))
                            .toList());
        }
    }

    /** Opened and closed again; the result keeps the work from being left out. */
    @Benchmark
    public int open() {
        try (SafetensorsFile opened = SafetensorsFile.open(file)) {
            return opened.tensors().size();
        }
    }

    @TearDown(Level.Trial)
    public void tearDown() throws IOException {
        Files.deleteIfExists(file);
        Files.deleteIfExists(folder);
    }
}
