package dev.graft.data;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** One line of a data file in one of its four forms. */
sealed interface DataLine {
    /** {@code {"text": …}}: all of it is to be learnt. */
    record Text(String text) implements DataLine {}

    /** {@code {"prompt": …, "completion": …}}: only the completion is to be learnt. */
    record Completion(String prompt, String completion) implements DataLine {}

    /** {@code {"messages": […]}}, and {@code tools} where given: only assistant turns are to be learnt. */
    record Chat(
            List<Map<String, Object>> messages, @Nullable List<Object> tools) implements DataLine {}

    /** {@code {"input_ids": […], "labels": […]}}, and {@code attention_mask} where given. */
    record Tokens(int[] inputIds, int @Nullable [] labels, int @Nullable [] attentionMask) implements DataLine {}
}
