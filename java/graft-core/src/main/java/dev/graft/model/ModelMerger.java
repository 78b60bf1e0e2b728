package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.io.AtomicFiles;
import dev.graft.io.IOConsumer;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.io.TensorInfo;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraDelta;
import dev.graft.lora.LoraModule;
import dev.graft.lora.LowRankFactors;
import dev.graft.lora.SavedWeight;
import dev.graft.tensor.DType;
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
import org.jspecify.annotations.Nullable;

/**
 * Writes a full checkpoint with {@code W = W0 + s B A}, with DoRA {@code (W0 + s B A) · m / ‖W0 + s B A‖}: from the mapped original, in
 * float32, rounded once to the stored dtype; and with the weights that the adapter trained whole in place of the base's, rounded
 * likewise. Shards, names, dtypes and all other files of the folder stay as they are; the base is only read.
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
    private int changed;

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
        requireTied();
        AtomicFiles.createDirectories(out);
        ModelFolder.requireOther(base.folder(), out);
        long bytes = 0;
        for (SafetensorsFile file : base.checkpoint().files()) {
            bytes += writeFile(file, out.resolve(file.path().getFileName()));
        }
        ModelFolder.copyAllButWeights(base.folder(), out, true);
        return new Result(changed, bytes, largestRounding.get());
    }

    /** A checkpoint with tied embeddings has one weight for embedding and head, so the adapter may not make them two. */
    private void requireTied() {
        if (!base.config().tiedEmbeddings()) {
            return;
        }
        SavedWeight head = adapter.savedWeight(Decoder.HEAD_WEIGHT);
        boolean headApart = adapter.module("lm_head") != null
                || (head != null && head.weight().tiedTo() == null);
        boolean embeddingApart = head == null && adapter.savedWeight(Decoder.EMBEDDING_WEIGHT) != null;
        if (headApart || embeddingApart) {
            throw new InputException("this adapter changes "
                    + (headApart
                            ? "lm_head, which shares its weights with the embedding"
                            : "embed_tokens, which shares its weights with the output head")
                    + ": merging would change both; use the adapter unmerged, or untie the base first");
        }
    }

    private long writeFile(SafetensorsFile file, Path target) {
        List<SafetensorsWriter.Entry> entries = new ArrayList<>();
        long bytes = 0;
        for (TensorInfo info : file.tensors().values()) {
            LoraModule module = info.name().endsWith(".weight")
                    ? adapter.module(info.name().substring(0, info.name().length() - ".weight".length()))
                    : null;
            SavedWeight saved = adapter.savedWeight(info.name());
            MemorySegment stored = file.data(info.name());
            if (module != null) {
                entries.add(entry(info, channel -> writeMerged(channel, module, info, stored)));
            } else if (saved != null) {
                entries.add(entry(info, channel -> writeSaved(channel, saved, info)));
            } else {
                entries.add(SafetensorsWriter.Entry.of(info.name(), info.dtype(), info.shape(), stored));
            }
            changed += module != null || saved != null ? 1 : 0;
            bytes += info.byteSize();
        }
        SafetensorsWriter.write(target, file.metadata(), entries);
        return bytes;
    }

    private static SafetensorsWriter.Entry entry(TensorInfo info, IOConsumer<WritableByteChannel> content) {
        return new SafetensorsWriter.Entry(info.name(), info.dtype(), info.shape(), content);
    }

    private void writeSaved(WritableByteChannel channel, SavedWeight saved, TensorInfo info) throws IOException {
        float[] values = base.engine().download(adapter.parameters().value(saved.slot()));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(info.byteSize(), 8);
            HostFloats.write(values, bytes, info.dtype(), 0);
            largestRounding.accumulate(rounding(values, info.dtype()));
            SafetensorsWriter.writeFully(channel, bytes);
        }
    }

    private void writeMerged(WritableByteChannel channel, LoraModule module, TensorInfo info, MemorySegment stored)
            throws IOException {
        Engine engine = base.engine();
        LowRankFactors delta = adapter.saved(engine, module);
        float[] magnitude = module.magnitude() == null
                ? null
                : engine.download(adapter.parameters().value(module.magnitude()));
        try (Arena arena = Arena.ofShared()) {
            MemorySegment merged = arena.allocate(info.byteSize(), 8);
            IntStream.range(0, module.module().out())
                    .parallel()
                    .forEach(row -> mergeRow(row, module, delta, magnitude, info, stored, merged));
            SafetensorsWriter.writeFully(channel, merged);
        }
    }

    /** {@code merged[row] = round(W0[row] + s · Σ B[row, i] A[i])}, with DoRA scaled to length m[row] first. */
    private void mergeRow(
            int row,
            LoraModule module,
            LowRankFactors delta,
            float @Nullable [] magnitude,
            TensorInfo info,
            MemorySegment stored,
            MemorySegment merged) {
        int in = module.module().in();
        float[] values = HostFloats.read(stored, info.dtype(), (long) row * in, in);
        LoraDelta.addRow(values, row, delta.a(), delta.b(), module.scale());
        if (magnitude != null) {
            LoraDelta.scaleRow(values, magnitude[row]);
        }
        HostFloats.write(values, merged, info.dtype(), (long) row * in);
        largestRounding.accumulate(rounding(values, info.dtype()));
    }

    /** The largest |stored - exact|. */
    private static double rounding(float[] values, DType stored) {
        double rounding = 0;
        for (float value : values) {
            rounding = Math.max(rounding, Math.abs(value - HostFloats.round(value, stored)));
        }
        return rounding;
    }
}
