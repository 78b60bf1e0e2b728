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
 * The activations of the low-rank parts. For training each module keeps its h = s x Aᵀ for the backward pass. What lives only as
 * long as one call of the engine is shared by all layers: modules of different names can be in one call (q, k and v), modules of
 * the same name cannot, and the row ranges of several adapters do not overlap.
 */
public final class LoraBuffers {
    private record Key(LoraAdapter adapter, String module) {}

    private final Map<Key, Tensor> hidden = new HashMap<>();
    private final Map<String, Tensor> scratch = new HashMap<>();
    private final boolean training;
    private final int maxRank;
    private final @Nullable Tensor dropped;

    /** @param maxRows rows of the largest batch */
    public LoraBuffers(
            Allocator allocator, List<LoraAdapter> adapters, int maxRows, Precision precision, boolean training) {
        DType compute = precision.compute();
        this.training = training;
        this.maxRank = adapters.stream().mapToInt(LoraAdapter::maxRank).max().orElse(0);
        for (LoraAdapter adapter : adapters) {
            for (LoraModule module : adapter.modules()) {
                if (training) {
                    hidden.put(
                            new Key(adapter, module.name()),
                            allocator.tensor(
                                    MemoryKind.ACTIVATIONS, module.name() + " h", compute, maxRows, module.rank()));
                }
                scratch.computeIfAbsent(
                        shortName(module),
                        name -> allocator.tensor(
                                MemoryKind.WORKSPACE,
                                name + (training ? " dh" : " h"),
                                compute,
                                1,
                                Math.multiplyExact(maxRows, maxRank)));
            }
        }
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

    private static String shortName(LoraModule module) {
        return module.name().substring(module.name().lastIndexOf('.') + 1);
    }

    /** h of this range's rows: kept for the backward pass, or for inference of this call alone. */
    Tensor hidden(AdapterRange range, LoraModule module) {
        if (!training) {
            return scratch(range, module);
        }
        return require(hidden.get(new Key(range.adapter(), module.name())), module)
                .rows(range.fromRow(), range.toRow());
    }

    /** The gradient of h, of this call alone. */
    Tensor hiddenGradient(AdapterRange range, LoraModule module) {
        if (!training) {
            throw new IllegalStateException("these buffers were set up for inference");
        }
        return scratch(range, module);
    }

    Tensor dropped(LoraModule module) {
        return require(dropped, module).columns(0, module.module().in());
    }

    private Tensor scratch(AdapterRange range, LoraModule module) {
        int start = range.fromRow() * maxRank;
        return require(scratch.get(shortName(module)), module)
                .columns(start, start + range.rows() * module.rank())
                .reshape(range.rows(), module.rank());
    }

    private static Tensor require(@Nullable Tensor buffer, LoraModule module) {
        if (buffer == null) {
            throw new IllegalStateException("no buffers were set up for this adapter at " + module.name());
        }
        return buffer;
    }
}
