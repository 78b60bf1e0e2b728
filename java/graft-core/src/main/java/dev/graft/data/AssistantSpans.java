package dev.graft.data;

import dev.graft.common.InputException;
import dev.graft.data.ChatTemplate.MaskedChat;
import dev.graft.data.jinja.JinjaException;
import dev.graft.data.jinja.JinjaTemplate.Span;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds what each assistant message of a conversation became in its rendering F, exactly or not at all. For message i
 *
 * <ol>
 *   <li>by prefixes: P renders the messages before i with a generation prompt, Q those up to i. If P is a prefix of Q and Q
 *       without trailing whitespace one of F, then what Q has beyond P is what the model would have to write: the content, what
 *       the template puts around it, and the end-of-turn token, not the newline after it.
 *   <li>by marks, for templates that write earlier turns differently (Qwen 3 drops their thoughts): the content with a
 *       private-use character at its start and its end is rendered in its place; with the marks taken out that must give F, so
 *       they stand where the content does. The end-of-turn token is what follows the content where the message is the last.
 * </ol>
 *
 * A message for which neither holds is refused.
 */
final class AssistantSpans {
    private final ChatTemplate template;
    private final List<? extends Map<String, ?>> messages;
    private final @Nullable List<?> tools;
    private final String full;
    private final char startMark;
    private final char endMark;

    AssistantSpans(
            ChatTemplate template, List<? extends Map<String, ?>> messages, @Nullable List<?> tools, String full) {
        this.template = template;
        this.messages = messages;
        this.tools = tools;
        this.full = full;
        startMark = unusedCharacter('\uE000');
        endMark = unusedCharacter((char) (startMark + 1));
    }

    private char unusedCharacter(char from) {
        char mark = from;
        while (full.indexOf(mark) >= 0 || messages.toString().indexOf(mark) >= 0) {
            mark++;
        }
        return mark;
    }

    MaskedChat find() {
        List<Span> spans = new ArrayList<>();
        int end = 0;
        for (int i = 0; i < messages.size(); i++) {
            if (!"assistant".equals(messages.get(i).get("role"))) {
                continue;
            }
            Span span = byPrefixes(i);
            if (span == null) {
                span = byMarks(i);
            }
            if (span == null || span.start() < end) {
                throw new InputException(
                        "message " + (i + 1) + ": cannot tell which part of the rendered chat this assistant"
                                + " turn is, because the template rewrites it; mark it with {% generation %} in the template, or use"
                                + " prompt/completion data");
            }
            spans.add(span);
            end = span.end();
        }
        return new MaskedChat(full, spans);
    }

    private @Nullable Span byPrefixes(int i) {
        String before = render(messages.subList(0, i), true);
        String upTo = render(messages.subList(0, i + 1), false);
        if (before == null || upTo == null || !upTo.startsWith(before)) {
            return null;
        }
        String turn = upTo.stripTrailing();
        return turn.length() >= before.length() && full.startsWith(turn)
                ? new Span(before.length(), turn.length())
                : null;
    }

    private @Nullable Span byMarks(int i) {
        if (!(messages.get(i).get("content") instanceof String content) || content.isBlank()) {
            return null;
        }
        for (int start : starts(content)) {
            for (int end : List.of(content.length(), content.stripTrailing().length())) {
                if (start >= end) {
                    continue;
                }
                String marked = content.substring(0, start)
                        + startMark
                        + content.substring(start, end)
                        + endMark
                        + content.substring(end);
                List<Map<String, ?>> changed = new ArrayList<>(messages);
                Map<String, Object> message = new LinkedHashMap<>(messages.get(i));
                message.put("content", marked);
                changed.set(i, message);
                Span span = unmarked(render(changed, false));
                if (span != null) {
                    return new Span(span.start(), span.end() + endOfTurn(changed.subList(0, i + 1), span.end()));
                }
            }
        }
        return null;
    }

    /** Where the part of a content that a template keeps may start: at once, after blanks, after a thought. */
    private static Set<Integer> starts(String content) {
        Set<Integer> starts = new LinkedHashSet<>();
        starts.add(0);
        starts.add(content.length() - content.stripLeading().length());
        int thought = content.lastIndexOf("</think>");
        if (thought >= 0) {
            String answer = content.substring(thought + "</think>".length());
            starts.add(content.length() - answer.stripLeading().length());
        }
        return starts;
    }

    /** The span between the marks, if there is one of each and the text without them is F. */
    private @Nullable Span unmarked(@Nullable String marked) {
        if (marked == null) {
            return null;
        }
        int start = marked.indexOf(startMark);
        int end = marked.indexOf(endMark);
        boolean once = start >= 0
                && start < end
                && start == marked.lastIndexOf(startMark)
                && end == marked.lastIndexOf(endMark);
        if (!once) {
            return null;
        }
        String text = marked.substring(0, start) + marked.substring(start + 1, end) + marked.substring(end + 1);
        return text.equals(full) ? new Span(start, end - 1) : null;
    }

    /** The length of what ends a turn that is the last of a conversation, if the same follows {@code end} in F. */
    private int endOfTurn(List<Map<String, ?>> markedUpTo, int end) {
        String marked = render(markedUpTo, false);
        int mark = marked == null ? -1 : marked.indexOf(endMark);
        if (marked == null || mark < 0) {
            return 0;
        }
        String ending = marked.substring(mark + 1).stripTrailing();
        return full.startsWith(ending, end) ? ending.length() : 0;
    }

    /** A rendering, or null where the template fails on this part of the conversation alone. */
    private @Nullable String render(List<? extends Map<String, ?>> part, boolean addGenerationPrompt) {
        try {
            return template.rendering(part, tools, addGenerationPrompt).text();
        } catch (JinjaException e) {
            return null;
        }
    }
}
