//! Circles and floors of a graph.

use std::collections::{BTreeMap, BTreeSet};

/// Who leads to whom. Every node is a key.
pub type Graph<N> = BTreeMap<N, BTreeSet<N>>;

/// The strongly connected components, each after all those it leads to (Tarjan).
pub fn components<N: Ord + Clone>(graph: &Graph<N>) -> Vec<Vec<N>> {
    let mut walk = Walk {
        graph,
        seen: BTreeMap::new(),
        stack: Vec::new(),
        found: Vec::new(),
    };
    for node in graph.keys() {
        if !walk.seen.contains_key(node) {
            walk.visit(node);
        }
    }
    walk.found
}

/// The number of nodes on the longest way down, a circle counted as one node.
pub fn floors<N: Ord + Clone>(graph: &Graph<N>) -> usize {
    heights(graph).into_values().max().unwrap_or(0)
}

/// The number of nodes on the longest way down from each node.
pub fn heights<N: Ord + Clone>(graph: &Graph<N>) -> BTreeMap<N, usize> {
    let mut height: BTreeMap<N, usize> = BTreeMap::new();
    for component in components(graph) {
        let below = component
            .iter()
            .flat_map(|node| &graph[node])
            .filter(|node| !component.contains(node))
            .map(|node| height[node])
            .max()
            .unwrap_or(0);
        height.extend(component.into_iter().map(|node| (node, below + 1)));
    }
    height
}

struct Walk<'a, N> {
    graph: &'a Graph<N>,
    /// When each node was first seen, and the oldest node of the stack that it leads to; `None` once its component is found.
    seen: BTreeMap<&'a N, Option<usize>>,
    stack: Vec<&'a N>,
    found: Vec<Vec<N>>,
}

impl<'a, N: Ord + Clone> Walk<'a, N> {
    fn visit(&mut self, node: &'a N) -> usize {
        let index = self.seen.len();
        let depth = self.stack.len();
        self.seen.insert(node, Some(index));
        self.stack.push(node);
        let mut oldest = index;
        for next in &self.graph[node] {
            match self.seen.get(next) {
                None => oldest = oldest.min(self.visit(next)),
                Some(Some(seen)) => oldest = oldest.min(*seen),
                Some(None) => {}
            }
        }
        if oldest == index {
            let component = self.stack.split_off(depth);
            for node in &component {
                self.seen.insert(node, None);
            }
            self.found.push(component.into_iter().cloned().collect());
        }
        oldest
    }
}

#[test]
fn circles_are_found_and_floors_counted() {
    let graph: Graph<u8> = [
        (0, vec![1]),
        (1, vec![2]),
        (2, vec![3, 4]),
        (3, vec![1]),
        (4, vec![5]),
        (5, vec![]),
    ]
    .into_iter()
    .map(|(node, next)| (node, next.into_iter().collect()))
    .collect();
    let mut sizes: Vec<_> = components(&graph)
        .into_iter()
        .map(|found| found.len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 1, 3]);
    assert_eq!(floors(&graph), 4);
}
