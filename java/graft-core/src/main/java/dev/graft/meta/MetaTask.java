package dev.graft.meta;

import dev.graft.data.Example;
import java.util.List;

/**
 * One task of many.
 *
 * @param name for messages
 * @param rows all of its examples, from which support and query are drawn
 */
public record MetaTask(String name, List<Example> rows) {
    public MetaTask {
        rows = List.copyOf(rows);
    }
}
