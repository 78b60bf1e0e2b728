package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.io.AtomicFiles;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.io.TensorInfo;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraDelta;
import dev.graft.lora.LoraModule;
import dev.graft.tensor.HostFloats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.DoubleAccumulator;
import java.util.stream.IntStream;

/**
 * Writes a full checkpoint with {@code W = W0 + s B A}: from the mapped original, in float32, rounded once to the stored dtype.
 * Shards, names, dtypes and all other files of the folder stay as they are; the base is only read.
 */
public final class ModelMerger {
    /**
     * What merging did.
     *
     * @param mergedTensors weights that changed
     * @param bytes of the new checkpoint's weights
     * @param largestRounding the largest |stored - exact| of any merged number
     */
    public record Result(int mergedTensors, long bytes, double largestRounding) {}

    private final PretrainedModel base;
    private final LoraAdapter adapter;
    private final DoubleAccumulator largestRounding = new DoubleAccumulator(Math::max, 0);

    private ModelMerger(LoraModel model) {
        this.base = model.base();
        this.adapter = model.adapter();
    }

    /**
     * Merges into {@code out}.
     *
     * @throws InputException where out is the base's own folder, cannot be written, or the adapter cannot be merged
     */
    public static Result merge(LoraModel model, Path out) {
        return new ModelMerger(model).merge(out);
    }

    private Result merge(Path out) {
        if (base.config().tiedEmbeddings() && adapter.module("lm_head") != null) {
            throw new InputException(
                    "this adapter changes lm_head, which shares its weights with the embedding: merging would "
                            + "change both; use the adapter unmerged, or untie the base first");
        }
        AtomicFiles.createDirectories(out);
        ModelFolder.requireOther(base.folder(), out);
        long bytes = 0;
        for (SafetensorsFile file : base.checkpoint().files()) {
            bytes += writeFile(file, out.resolve(file.path().getFileName()));
        }
        ModelFolder.copyAllButWeights(base.folder(), out, true);
        return new Result(adapter.modules().size(), bytes, largestRounding.get());
    }

    private long writeFile(SafetensorsFile file, Path target) {
        List<SafetensorsWriter.Entry> entries = new ArrayList<>();
        long bytes = 0;
        for (TensorInfo info : file.tensors().values()) {
            LoraModule module = info.name().endsWith(".weight")
                    ? adapter.module(info.name().substring(0, info.name().length() - ".weight".length()))
                    : null;
            MemorySegment stored = file.data(info.name());
            entries.add(
                    module == null
                            ? SafetensorsWriter.Entry.of(info.name(), info.dtype(), info.shape(), stored)
                            : new SafetensorsWriter.Entry(
                                    info.name(),
                                    info.dtype(),
                                    info.shape(),
                                    channel -> writeMerged(channel, module, info, stored)));
            bytes += info.byteSize();
        }
        SafetensorsWriter.write(target, file.metadata(), entries);
        return bytes;
    }

    private void writeMerged(WritableByteChannel channel, LoraModule module, TensorInfo info, MemorySegment stored)
            throws IOException {
        Engine engine = base.engine();
        float[] a = engine.download(adapter.parameters().value(module.a()));
        float[] b = engine.download(adapter.parameters().value(module.b()));
        try (Arena arena = Arena.ofShared()) {
            MemorySegment merged = arena.allocate(info.byteSize(), 8);
            IntStream.range(0, module.module().out())
                    .parallel()
                    .forEach(row -> mergeRow(row, module, a, b, info, stored, merged));
            SafetensorsWriter.writeFully(channel, merged);
        }
    }

    /** {@code merged[row] = round(W0[row] + s · Σ B[row, i] A[i])}. */
    private void mergeRow(
            int row,
            LoraModule module,
            float[] a,
            float[] b,
            TensorInfo info,
            MemorySegment stored,
            MemorySegment merged) {
        int in = module.module().in();
        float[] values = HostFloats.read(stored, info.dtype(), (long) row * in, in);
        LoraDelta.addRow(values, row, a, b, module.scale());
        double rounding = 0;
        for (float value : values) {
            rounding = Math.max(rounding, Math.abs(value - HostFloats.round(value, info.dtype())));
        }
        HostFloats.write(values, merged, info.dtype(), (long) row * in);
        largestRounding.accumulate(rounding);
    }
}
