package dev.graft.engine;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Every buffer of a run, known before its first step. */
public record MemoryPlan(List<Item> items) {
    /** One buffer: what it is for, its name, its size in bytes. */
    public record Item(MemoryKind kind, String name, long bytes) {}

    /** No buffer at all. */
    public static final MemoryPlan NONE = new MemoryPlan(List.of());

    public MemoryPlan {
        items = List.copyOf(items);
    }

    /** Bytes of all buffers. */
    public long totalBytes() {
        return items.stream().mapToLong(Item::bytes).sum();
    }

    /** Bytes by kind, in the order of {@link MemoryKind}; kinds with no buffer are left out. */
    public Map<MemoryKind, Long> bytesByKind() {
        Map<MemoryKind, Long> bytes = new EnumMap<>(MemoryKind.class);
        items.forEach(item -> bytes.merge(item.kind(), item.bytes(), Long::sum));
        return bytes;
    }

    /** This plan and another one's buffers. */
    public MemoryPlan plus(MemoryPlan other) {
        List<Item> all = new ArrayList<>(items);
        all.addAll(other.items);
        return new MemoryPlan(all);
    }

    /** Collects buffers. */
    public static final class Builder {
        private final List<Item> items = new ArrayList<>();

        public Builder add(MemoryKind kind, String name, long bytes) {
            items.add(new Item(kind, name, bytes));
            return this;
        }

        public MemoryPlan build() {
            return new MemoryPlan(items);
        }
    }
}
