package dev.graft.lora;

import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The activations of the low-rank parts. For training each module keeps its h = s x Aᵀ for the backward pass, or for that of its
 * layer alone. What lives only as
 * long as one call of the engine is shared by all layers: modules of different names can be in one call (q, k and v), modules of
 * the same name cannot. Several adapters share the memory, as their row ranges do not overlap.
 */
public final class LoraBuffers {
    /** Memory for the rows of all adapters: a range of rows has its part of it, whatever the rank of its adapter. */
    private record Slab(Tensor memory, int maxRank) {
        Tensor part(AdapterRange range, int rank) {
            int start = range.fromRow() * maxRank;
            return memory.columns(start, start + range.rows() * rank).reshape(range.rows(), rank);
        }
    }

    /** What forward leaves for backward. */
    public enum Keep {
        /** h of every module of every layer. */
        ALL_LAYERS,
        /** h of one layer's modules, which backward of that layer follows at once (gradient checkpointing). */
        ONE_LAYER,
        /** Nothing: inference. */
        NOTHING
    }

    /** Kept from forward to backward: by full module name, or by its last part where only one layer's is kept. */
    private final Map<String, Slab> hidden = new HashMap<>();
    /** By the last part of the module's name: used within a call. */
    private final Map<String, Slab> scratch = new HashMap<>();

    private final Keep keep;
    private final @Nullable Tensor dropped;

    /** @param maxRows rows of the largest batch */
    public LoraBuffers(Allocator allocator, List<LoraAdapter> adapters, int maxRows, Precision precision, Keep keep) {
        DType compute = precision.compute();
        boolean training = keep != Keep.NOTHING;
        this.keep = keep;
        Map<String, Integer> ranks = new LinkedHashMap<>();
        for (LoraAdapter adapter : adapters) {
            adapter.modules().forEach(module -> ranks.merge(module.name(), module.rank(), Math::max));
        }
        int maxRank = adapters.stream().mapToInt(LoraAdapter::maxRank).max().orElse(0);
        ranks.forEach((name, rank) -> {
            if (keep == Keep.ALL_LAYERS) {
                hidden.put(name, slab(allocator, MemoryKind.ACTIVATIONS, name + " h", compute, maxRows, rank));
            } else if (keep == Keep.ONE_LAYER) {
                hidden.computeIfAbsent(
                        shortName(name),
                        last -> slab(allocator, MemoryKind.ACTIVATIONS, last + " h", compute, maxRows, maxRank));
            }
            String label = training ? " dh" : " h";
            scratch.computeIfAbsent(
                    shortName(name),
                    last -> slab(allocator, MemoryKind.WORKSPACE, last + label, compute, maxRows, maxRank));
        });
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

    private static Slab slab(Allocator allocator, MemoryKind kind, String name, DType dtype, int maxRows, int maxRank) {
        return new Slab(allocator.tensor(kind, name, dtype, 1, Math.multiplyExact(maxRows, maxRank)), maxRank);
    }

    private static String shortName(String module) {
        return module.substring(module.lastIndexOf('.') + 1);
    }

    /** h of this range's rows: kept for the backward pass, or for inference of this call alone. */
    Tensor hidden(AdapterRange range, LoraModule module) {
        return switch (keep) {
            case ALL_LAYERS -> part(hidden.get(module.name()), range, module);
            case ONE_LAYER -> part(hidden.get(shortName(module.name())), range, module);
            case NOTHING -> scratch(range, module);
        };
    }

    /** The gradient of h, of this call alone. */
    Tensor hiddenGradient(AdapterRange range, LoraModule module) {
        if (keep == Keep.NOTHING) {
            throw new IllegalStateException("these buffers were set up for inference");
        }
        return scratch(range, module);
    }

    /** Room for dropout(x) of this range's rows. */
    Tensor dropped(AdapterRange range, LoraModule module) {
        return require(dropped, module).columns(0, module.module().in()).rows(range.fromRow(), range.toRow());
    }

    private Tensor scratch(AdapterRange range, LoraModule module) {
        return part(scratch.get(shortName(module.name())), range, module);
    }

    private static Tensor part(@Nullable Slab slab, AdapterRange range, LoraModule module) {
        return require(slab, module).part(range, module.rank());
    }

    private static <T> T require(@Nullable T buffer, LoraModule module) {
        if (buffer == null) {
            throw new IllegalStateException("no buffers were set up for this adapter at " + module.name());
        }
        return buffer;
    }
}
