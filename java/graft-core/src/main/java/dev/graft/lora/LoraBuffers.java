package dev.graft.lora;

import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The activations of the low-rank parts. For training each module keeps its h = s x Aᵀ for the backward pass; for inference all
 * share one scratch buffer.
 */
public final class LoraBuffers {
    private record Key(LoraAdapter adapter, String module) {}

    private final Map<Key, Tensor> hidden = new HashMap<>();
    private final @Nullable Tensor sharedHidden;
    private final @Nullable Tensor hiddenGradient;
    private final @Nullable Tensor dropped;

    /** @param maxRows rows of the largest batch */
    public LoraBuffers(
            Allocator allocator, List<LoraAdapter> adapters, int maxRows, Precision precision, boolean training) {
        DType compute = precision.compute();
        int maxRank = adapters.stream().mapToInt(LoraAdapter::maxRank).max().orElse(0);
        boolean any = maxRank > 0;
        if (training) {
            for (LoraAdapter adapter : adapters) {
                for (LoraModule module : adapter.modules()) {
                    hidden.put(
                            new Key(adapter, module.name()),
                            allocator.tensor(
                                    MemoryKind.ACTIVATIONS, module.name() + " h", compute, maxRows, module.rank()));
                }
            }
        }
        this.sharedHidden = any && !training
                ? allocator.tensor(MemoryKind.WORKSPACE, "lora h", compute, 1, maxRows * maxRank)
                : null;
        this.hiddenGradient = any && training
                ? allocator.tensor(MemoryKind.WORKSPACE, "lora dh", compute, 1, maxRows * maxRank)
                : null;
        int widest = adapters.stream()
                .filter(adapter -> adapter.config().dropout() > 0)
                .flatMap(adapter -> adapter.modules().stream())
                .mapToInt(module -> module.module().in())
                .max()
                .orElse(0);
        this.dropped = training && widest > 0
                ? allocator.tensor(MemoryKind.WORKSPACE, "dropped input", compute, maxRows, widest)
                : null;
    }

    Tensor hidden(AdapterRange range, LoraModule module) {
        if (sharedHidden != null) {
            return scratch(sharedHidden, range.rows(), module.rank());
        }
        Tensor own = hidden.get(new Key(range.adapter(), module.name()));
        if (own == null) {
            throw new IllegalStateException("no buffers were set up for this adapter at " + module.name());
        }
        return own.rows(range.fromRow(), range.toRow());
    }

    Tensor hiddenGradient(LoraModule module, int rows) {
        return scratch(require(hiddenGradient), rows, module.rank());
    }

    Tensor dropped(LoraModule module) {
        return require(dropped).columns(0, module.module().in());
    }

    private static Tensor scratch(Tensor flat, int rows, int cols) {
        return flat.columns(0, rows * cols).reshape(rows, cols);
    }

    private static Tensor require(@Nullable Tensor buffer) {
        if (buffer == null) {
            throw new IllegalStateException("these buffers were set up for inference");
        }
        return buffer;
    }
}
